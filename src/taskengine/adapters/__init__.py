"""Technologies behind the ports, one file or folder each. Only ``app`` and ``testing`` name them."""

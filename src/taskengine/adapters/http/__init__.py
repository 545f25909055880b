"""HTTP to the outside: the one client, the ``http`` step type, and the function ``http_request``.

Nothing here imports the HTTP library before the first call is made.
"""

from taskengine.adapters.http.executor import HttpExecutor
from taskengine.adapters.http.function import http_request_over
from taskengine.adapters.http.outbound import LazyOutbound

__all__ = ["HttpExecutor", "LazyOutbound", "http_request_over"]

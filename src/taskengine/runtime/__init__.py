"""The async shell that drives the kernel through the ports: mailboxes, group commit, admission, timers, attempts, recovery."""

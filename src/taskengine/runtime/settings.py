"""What can be tuned about a node. Every bound has a name here; the defaults are the ones documented."""

from __future__ import annotations

import msgspec

__all__ = ["NodeSettings"]


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and paces of one node. Durations in milliseconds."""

    concurrency: int = 100  # attempts at the same time
    batch_cap: int = 500  # appends in one commit
    snapshot_every: int = 256  # events since the last snapshot, at least the size of the live state
    park_snapshot_after: int = 16  # the same for one that is parked
    cache: int = 1_000  # parked executions kept in memory
    max_residents: int = 200_000  # executions in memory before new starts are refused
    max_backlog: int = 20_000  # executions in the open batch before new starts are refused
    load_batch: int = 500  # executions read or taken over at a time
    alone_poll_ms: int = 200  # how often to look for other processes' writes when no other node is registered
    together_poll_ms: int = 25  # ... and while others are
    longest_sleep_ms: int = 5_000  # a clock that jumps is noticed within this
    stop_grace_ms: int = 5_000  # how long a graceful stop lets attempts finish
    can_run: bool = True  # False: a node for control commands only, it begins no attempts and takes nothing over
    recovers: bool = True  # False: of what others left unfinished it goes on only with what is adopted or waited for here
    max_payload: int = 16 * 1024 * 1024  # bytes of an input, a signal, a result
    max_progress: int = 16_384  # bytes of what an attempt says about its progress
    progress_interval_ms: int = 1_000  # progress of one attempt is written down at most this often
    log_flush_ms: int = 200  # lines of logs are gathered this long
    log_buffer: int = 50_000  # ... and so many at most, before some are dropped
    log_lines: int = 10_000  # of one attempt
    log_line: int = 16_384  # characters of one line, the rest is cut
    capture_logs: bool = True  # what functions say through `logging` goes to their task's log
    max_nesting: int = 64  # levels of lists and objects in one

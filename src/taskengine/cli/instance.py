"""``instance``: the group of everything about executions. Looking is in ``looking``, control in ``control``."""

from __future__ import annotations

from taskengine.cli.command import LazyGroup

__all__ = ["instance"]

_LOOKING = "taskengine.cli.looking"
_CONTROL = "taskengine.cli.control"

instance = LazyGroup(
    "instance",
    help=(
        "See and control executions.\n\nAn ID may be cut to four or more characters of its beginning or end; "
        "@latest is the newest execution, @failed the newest that failed, key:KEY the open one with that business key."
    ),
    lazy={
        "list": (f"{_LOOKING}:list_", "The newest executions."),
        "status": (f"{_LOOKING}:status", "One execution and its tasks; --task tells one task's story."),
        "history": (f"{_LOOKING}:history", "The executions of one workflow, with what ended them."),
        "tasks": (f"{_LOOKING}:tasks", "Every task of one execution."),
        "explain": ("taskengine.cli.explaining:explain", "Why one execution is not further, and what moves it."),
        "diff": ("taskengine.cli.comparing:diff", "What is different between two executions."),
        "watch": ("taskengine.cli.watching:watch", "Follow one execution to its end."),
        "events": (f"{_LOOKING}:events", "The history of one execution."),
        "logs": ("taskengine.cli.logs:logs", "What the work of one execution said."),
        "pause": (f"{_CONTROL}:pause", "Start nothing new; what runs may finish."),
        "resume": (f"{_CONTROL}:resume", "End a pause."),
        "cancel": (f"{_CONTROL}:cancel", "Ask what runs to stop, then end."),
        "terminate": (f"{_CONTROL}:terminate", "End at once."),
        "retry": (f"{_CONTROL}:retry", "Try again what failed or was cancelled."),
        "set-variables": (f"{_CONTROL}:set_variables", "Give variables new values."),
        "fork": ("taskengine.cli.forking:fork", "Begin a new execution in the middle of this one."),
        "signal": (f"{_CONTROL}:signal", "Send a message to waiting steps."),
    },
)

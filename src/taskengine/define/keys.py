"""Which keys the ``config`` of a step takes, by its type. The checkers of their values are loaded for the types that are used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["ALIASES", "CONFIG", "FUNCTION", "HTTP", "LOOPS", "SCRIPT", "TYPE_ALIASES", "WAIT", "WAYS"]

FUNCTION: Final = ("function", "params", "run_in")
HTTP: Final = (
    "method",
    "url",
    "query",
    "params",
    "headers",
    "auth",
    "body",
    "json",
    "form",
    "timeout",
    "success_when",
    "retry_on",
    "pagination",
    "max_response_bytes",
    "follow_redirects",
    "max_redirects",
    "verify",
    "idempotency_key",
)
SCRIPT: Final = ("script", "inline", "runtime", "params", "args", "env", "cwd", "timeout", "limits", "network")
WAYS: Final = ("duration", "until", "signal")  # one of them in a wait step
WAIT: Final = (*WAYS, "filter", "deadline")
LOOPS: Final = ("items", "while", "until")  # one of them in a loop
CONFIG: Final[Mapping[str, tuple[str, ...]]] = {
    "function": FUNCTION,
    "http": HTTP,
    "script": SCRIPT,
    "wait": WAIT,
    "noop": (),
    "condition": (),
    "parallel": ("max_concurrency",),
    "map": ("items", "max_concurrency", "batch_size"),
    "loop": (*LOOPS, "max_iterations", "max_concurrency"),
    "workflow": ("workflow", "version", "detach"),
    "approval": ("approvers", "message", "form", "deadline", "escalation"),
    "set": (),  # variables
    "signal": ("signal", "execution", "business_key", "data"),
    "fail": ("type", "message"),
    "aggregate": ("items", "operation", "field", "group_by"),
}
_ITEMS: Final[Mapping[str, str]] = dict.fromkeys(
    ("over", "in", "list", "collection", "for_each", "foreach", "values", "with_items"), "items"
)
_AT_ONCE: Final[Mapping[str, str]] = dict.fromkeys(("concurrency", "parallelism", "max_parallel", "max_workers"), "max_concurrency")
# Type → what other tools call a key of its config → our key.
ALIASES: Final[Mapping[str, Mapping[str, str]]] = {
    "parallel": _AT_ONCE,
    "map": {**_ITEMS, **_AT_ONCE, **dict.fromkeys(("batch", "chunk", "chunk_size"), "batch_size")},
    "loop": {
        **_ITEMS,
        **_AT_ONCE,
        **dict.fromkeys(("if", "condition", "when"), "while"),
        **dict.fromkeys(("max", "limit", "times", "iterations", "max_rounds"), "max_iterations"),
    },
    "wait": {
        **dict.fromkeys(("for", "seconds", "delay"), "duration"),
        **dict.fromkeys(("event", "name"), "signal"),
        **dict.fromkeys(("condition", "when", "if"), "filter"),
    },
    "workflow": dict.fromkeys(("name", "id", "workflow_id", "workflow_name"), "workflow"),
    "approval": {
        **dict.fromkeys(("approver", "users", "assignees", "who", "to"), "approvers"),
        **dict.fromkeys(("title", "text", "prompt"), "message"),
        "schema": "form",
    },
    "signal": {
        **dict.fromkeys(("name", "event"), "signal"),
        **dict.fromkeys(("to", "target", "execution_id"), "execution"),
        **dict.fromkeys(("payload", "body", "params"), "data"),
        "key": "business_key",
    },
    "fail": {**dict.fromkeys(("error", "code", "name"), "type"), **dict.fromkeys(("reason", "text"), "message")},
    "aggregate": {
        **_ITEMS,
        **dict.fromkeys(("op", "function", "method"), "operation"),
        **dict.fromkeys(("key", "path"), "field"),
        **dict.fromkeys(("by", "group"), "group_by"),
    },
}
# What other tools call a type → our type.
TYPE_ALIASES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("foreach", "for_each", "for", "fan_out", "each"), "map"),
    **dict.fromkeys(("if", "switch", "choice", "branch", "case"), "condition"),
    **dict.fromkeys(("while", "until", "repeat"), "loop"),
    **dict.fromkeys(("subworkflow", "sub_workflow", "call", "child_workflow"), "workflow"),
    **dict.fromkeys(("sleep", "delay", "timer", "wait_for_signal"), "wait"),
    **dict.fromkeys(("error", "raise", "throw"), "fail"),
    **dict.fromkeys(("python", "callable"), "function"),
    **dict.fromkeys(("shell", "bash", "command"), "script"),
    **dict.fromkeys(("manual", "human", "review"), "approval"),
    **dict.fromkeys(("assign", "variables", "set_variable"), "set"),
    **dict.fromkeys(("pass", "dummy", "empty"), "noop"),
}

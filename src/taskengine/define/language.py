"""The language as tables: which keys a document may hold, what each gives to the model, and what other keys probably meant.

Reading (`shape.py`) and writing (`canonical.py`) walk the same tables, so they cannot disagree. A key that is not here is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from taskengine.define.rules import (
    BACKOFF,
    CONCURRENCY,
    JITTER,
    MAX_ATTEMPTS,
    PRIORITY,
)
from taskengine.define.spans import format_exactly
from taskengine.define.success import success, written_success
from taskengine.define.values import (
    Choice,
    MoreAttempts,
    Reader,
    Section,
    anything,
    between,
    boolean,
    condition,
    duration,
    mapping,
    same,
    text,
    texts,
    version,
)
from taskengine.model.workflow import Isolation, Join, OnError, OnFailure

__all__ = [
    "BLOCK_KEYS",
    "BODY",
    "BRANCH",
    "CASE",
    "COMPENSATION",
    "DEFAULTS",
    "ELSE",
    "LIMITS",
    "RETRY",
    "STEP",
    "STEPS",
    "WORKFLOW",
    "Field",
    "Table",
]


class Field(msgspec.Struct, frozen=True):
    """One key. ``attribute`` is its name in the model; ``means`` the key that says the same and is written instead."""

    attribute: str
    read: Reader
    write: Callable[[Any], Any] = same
    means: str = ""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of one mapping."""

    fields: Mapping[str, Field]
    required: Mapping[str, str] = {}  # key → an example of it
    later: Mapping[str, str] = {}  # keys of the language that this version does not run → what to do instead
    elsewhere: Mapping[str, str] = {}  # keys that belong to another place → which
    others: Mapping[str, str] = {}  # what other tools call a key → our key


def _timed(attribute: str, *, means: str = "") -> Field:
    return Field(attribute, duration, format_exactly, means)


def _counted(key: str) -> Field:
    """How many attempts may follow the first."""
    read = between(key, (MAX_ATTEMPTS[0] - 1, MAX_ATTEMPTS[1] - 1))
    return Field("max_attempts", MoreAttempts(read), means="max_attempts")


RETRY: Final = Table(
    fields={
        "max_attempts": Field("max_attempts", between("max_attempts", MAX_ATTEMPTS)),
        "retry_count": _counted("retry_count"),
        "max_retries": _counted("max_retries"),
        "initial_interval": _timed("initial_interval_ms"),
        "initial_delay": _timed("initial_interval_ms", means="initial_interval"),
        "max_interval": _timed("max_interval_ms"),
        "max_delay": _timed("max_interval_ms", means="max_interval"),
        "backoff_coefficient": Field("backoff_coefficient", between("backoff_coefficient", BACKOFF)),
        "backoff_factor": Field("backoff_coefficient", between("backoff_factor", BACKOFF), means="backoff_coefficient"),
        "jitter": Field("jitter", between("jitter", JITTER)),
        "non_retryable_errors": Field("non_retryable_errors", texts),
    },
    others={
        "attempts": "max_attempts",
        "count": "max_attempts",
        "limit": "max_attempts",
        "retries": "max_retries",
        "delay": "initial_interval",
        "interval": "initial_interval",
        "backoff": "backoff_coefficient",
        "multiplier": "backoff_coefficient",
    },
)

LIMITS: Final = Table(
    fields={
        "timeout": _timed("timeout_ms"),
        "max_concurrency": Field("max_concurrency", between("max_concurrency", CONCURRENCY)),
        "priority": Field("priority", between("priority", PRIORITY)),
    },
    later={
        "concurrency": "max_concurrency bounds one execution",
        "rate": "",
        "budget": "",
    },
    others={"max_parallel": "max_concurrency", "parallelism": "max_concurrency", "max_concurrent": "max_concurrency"},
)

# `retry` is read as a mapping here and there; `document.py` merges the two and reads the result by its own table.
DEFAULTS: Final = Table(
    fields={"timeout": _timed("timeout_ms"), "retry": Field("retry", Section("retry: {max_attempts: 3}"))},
    elsewhere={"max_concurrency": "write it under `limits`", "priority": "write it under `limits`"},
)

# Type → the keys that hold its blocks. No other type has them.
BLOCK_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "condition": ("cases", "else"),
    "parallel": ("branches",),
    "map": ("steps", "output"),
    "loop": ("steps", "output"),
}
_OF_CONFIG: Final = (
    *("function", "params", "run_in", "script", "inline", "url", "duration", "until", "signal", "deadline", "filter"),
    *("items", "while", "max_iterations", "batch_size", "approvers", "message", "workflow", "operation"),
)

_CASES: Final = "write cases: [{when: …, steps: […]}], and what is left under else"

STEP: Final = Table(
    fields={
        "id": Field("id", text),
        "type": Field("type", text),
        "name": Field("name", text),
        "description": Field("description", text),
        "config": Field("config", mapping),
        "depends_on": Field("depends_on", texts),
        "when": Field("when", condition),
        "join": Field("join", Choice("join", Join)),
        "handles": Field("handles", texts),
        "input_mapping": Field("input_mapping", mapping),
        "output_mapping": Field("output_mapping", mapping),
        "retry": Field("retry", Section("retry: {max_attempts: 3}")),
        "timeout": _timed("timeout_ms"),
        "total_timeout": _timed("total_timeout_ms"),
        "queue_timeout": _timed("queue_timeout_ms"),
        "heartbeat": _timed("heartbeat_ms"),
        "isolation": Field("isolation", Choice("isolation", Isolation)),
        "priority": Field("priority", between("priority", PRIORITY)),
        "idempotent": Field("is_idempotent", boolean),
        "on_error": Field("on_error", Choice("on_error", OnError)),
        "tags": Field("tags", texts),
        "is_parallel": Field("is_parallel", boolean),
        "cases": Field("cases", anything),
        "else": Field("else", anything),
        "branches": Field("branches", anything),
        "steps": Field("steps", anything),
        "output": Field("output", anything),
        "success": Field("success", success, written_success),
        "compensate": Field("compensate", Section("compensate: {type: function, config: {function: undo}}")),
    },
    required={"id": "id: fetch", "type": "type: function"},
    later={
        "task": "configure the step itself: type and config",
        "queue": "",
        "resources": "",
        "cache": "",
        "order": "",
    },
    elsewhere={
        **dict.fromkeys(_OF_CONFIG, "write it under `config`"),
        **dict.fromkeys(("max_attempts", "retry_count", "max_retries"), "write it under `retry`"),
        **dict.fromkeys(("for_each", "foreach", "over", "with_items"), "write items under `config` of a map or loop"),
        **dict.fromkeys(("then", "steps_if_true"), _CASES),
        **dict.fromkeys(("catch", "on_failure", "finally"), "let a step with join: any_failed or all_done depend on this one"),
        "max_concurrency": "write it under `config` of a map, loop or parallel step, or under `limits` of the workflow",
    },
    others={
        "after": "depends_on",
        "dependencies": "depends_on",
        "needs": "depends_on",
        "condition": "when",
        "if": "when",
        "inputs": "input_mapping",
        "outputs": "output_mapping",
        "retries": "retry",
        "trigger_rule": "join",
        "uses": "type",
        "with": "config",
        "key": "id",
        "default": "else",
        "otherwise": "else",
        "switch": "cases",
        "choices": "cases",
        "body": "steps",
        "do": "steps",
        "tasks": "steps",
        "success_when": "success",
        "success_policy": "success",
        "rollback": "compensate",
        "undo": "compensate",
        "compensation": "compensate",
    },
)
# Type → its steps' keys, where a key means something else than on other steps.
STEPS: Final[Mapping[str, Table]] = {
    "condition": msgspec.structs.replace(
        STEP, elsewhere={**STEP.elsewhere, **dict.fromkeys(("if", "then", "condition", "steps_if_true", "true"), _CASES)}
    ),
    "parallel": msgspec.structs.replace(STEP, others={**STEP.others, **dict.fromkeys(("tasks", "do", "body"), "branches")}),
}
# A compensation is a step that nobody names and that waits for nobody.
_NOT_OF_COMPENSATIONS: Final = frozenset(
    {"id", "depends_on", "when", "join", "handles", "is_parallel", "success", "compensate"}
).union(*BLOCK_KEYS.values())
COMPENSATION: Final = Table(
    fields={key: field for key, field in STEP.fields.items() if key not in _NOT_OF_COMPENSATIONS},
    required={"type": STEP.required["type"]},
    later=STEP.later,
    elsewhere={
        **STEP.elsewhere,
        **dict.fromkeys(
            ("depends_on", "when", "join", "handles"), "it belongs to the step: a compensation runs when the step is undone"
        ),
        "id": "a compensation has no id; it is known by its step",
        "compensate": "a compensation cannot be undone itself",
        "steps": "a compensation is one piece of work; steps of its own can stand in another workflow: type: workflow",
    },
    others={key: meant for key, meant in STEP.others.items() if meant not in _NOT_OF_COMPENSATIONS},
)

_THEN: Final = dict.fromkeys(("then", "do", "body", "tasks"), "steps")
_IF: Final = dict.fromkeys(("if", "condition", "case", "expression"), "when")
_BLOCK: Final[Mapping[str, Field]] = {
    "name": Field("name", text),
    "steps": Field("steps", anything),
    "output": Field("output", anything),
}
CASE: Final = Table(
    fields={"when": Field("when", condition), **_BLOCK},
    required={"when": 'when: "input.amount > 100"'},
    elsewhere={"else": "write it beside `cases`", "default": "write `else` beside `cases`"},
    others={**_THEN, **_IF, "outputs": "output"},
)
ELSE: Final = Table(
    fields=_BLOCK,
    elsewhere={"when": "`else` is what is left; a further case belongs under `cases`"},
    others={**_THEN, "outputs": "output"},
)
BODY: Final = Table(fields={key: _BLOCK[key] for key in ("steps", "output")})  # of a map or a loop: keys of the step itself
BRANCH: Final = Table(
    fields=_BLOCK,
    elsewhere={"when": "write it on the steps of the branch", "if": "write `when` on the steps of the branch"},
    others={**_THEN, "id": "name", "outputs": "output"},
)

WORKFLOW: Final = Table(
    fields={
        "name": Field("name", text),
        "version": Field("version", version),
        "description": Field("description", text),
        "owner": Field("owner", text),
        "tags": Field("tags", texts),
        "kind": Field("kind", text),
        "input": Field("input_schema", mapping),
        "output": Field("output", anything),
        "variables": Field("variables", mapping),
        "defaults": Field("defaults", Section("defaults: {timeout: 5m}")),
        "limits": Field("limits", Section("limits: {timeout: 1h}")),
        "steps": Field("steps", anything),
        "success": Field("success", success, written_success),
        "on_failure": Field("on_failure", Choice("on_failure", OnFailure)),
        "business_key": Field("business_key", text),
        "is_template": Field("is_template", boolean),
    },
    required={"name": "name: daily-report", "steps": "steps: [{id: greet, type: noop}]"},
    later={
        "triggers": "start it with `task-engine run`",
        "notifications": "",
        "agents": "",
        "states": "machines come later; a graph has `steps`",
        "transitions": "machines come later; a graph has `steps`",
        "initial_state": "machines come later; a graph has `steps`",
        "context": "machines come later; a graph has `input` and `variables`",
        "timeouts": "machines come later; a graph has `limits`",
        "retry_policy": "machines come later; a graph has `defaults`",
    },
    elsewhere={
        "timeout": "write it under `limits` (the whole execution) or `defaults` (each step)",
        "max_concurrency": "write it under `limits`",
        "priority": "write it under `limits`",
        "retry": "write it under `defaults`",
        "compensate": "write it on the steps that change something outside, and on_failure: compensate here",
        "on_error": "write it on a step; the workflow has on_failure: fail or compensate",
    },
    others={
        "tasks": "steps",
        "jobs": "steps",
        "nodes": "steps",
        "inputs": "input",
        "params": "variables",
        "parameters": "variables",
        "vars": "variables",
        "env": "variables",
        "outputs": "output",
        "title": "name",
        "id": "name",
        "labels": "tags",
        "input_schema": "input",
        "key": "business_key",
        "template": "is_template",
        "success_when": "success",
    },
)

"""Steps that a function with ``@workflow`` adds beside its tasks: those that the engine performs itself, and any other type.

Each takes the words of the builder's method of that name, then those of every step (``id``, ``when``, ``after``, ``join``,
``handles``, ``on_error``, ``timeout``, ``compensate``, …), and gives the placeholder of its output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack, cast

import msgspec

from taskengine.define.block_builder import Steps, When
from taskengine.define.bodies import called, compensation
from taskengine.define.declared import Declares
from taskengine.define.options import StepOptions, fields_of
from taskengine.define.phrase import described, listed, nearest, quoted
from taskengine.define.placeholder import Placeholder, condition_of, written
from taskengine.define.task_builder import TaskBuilder
from taskengine.define.trace import Trace, declaring
from taskengine.errors import DefinitionError
from taskengine.model.workflow import Step

__all__ = [
    "aggregate",
    "approval",
    "error_of",
    "fail",
    "noop",
    "opened",
    "send_signal",
    "set_variables",
    "status_of",
    "step",
    "sub_workflow",
    "wait",
]


def step(type: str, settings: Mapping[str, Any] | None = None, /, **options: Unpack[StepOptions]) -> Any:
    """Add a step of any type with its config: ``step("http", {"method": "GET", "url": f"https://example.org/{order}"})``.

    Every function that adds a step takes these words, as documents have them: ``id``, ``name``, ``description``, ``config``,
    ``when``, ``join``, ``handles``, ``input_mapping``, ``output_mapping``, ``retry``, ``timeout``, ``total_timeout``,
    ``queue_timeout``, ``heartbeat``, ``isolation``, ``priority``, ``idempotent``, ``on_error``, ``tags``; ``after``, the results or
    ids of steps that it follows; and ``compensate``, the task that undoes it, or a function that calls one with what the step gave.
    """
    return _added(
        "step", TaskBuilder("step").with_type(type, written(settings or {}, what="config")), options=options, otherwise=type
    )


def noop(**options: Unpack[StepOptions]) -> Any:
    """Add a step that does nothing: a place where others meet; with ``output_mapping`` one that keeps what others made."""
    return _added("noop", Steps().noop("noop"), options=options)


def sub_workflow(
    workflow: object,
    inputs: Mapping[str, Any] | None = None,
    *,
    version: str = "",
    detach: bool = False,
    **options: Unpack[StepOptions],
) -> Any:
    """Add an execution of another workflow: one that the engine knows by name, or one as it was declared, deployed with this one.

    A decorated workflow may be called as well: ``report(day)`` in a function with ``@workflow`` is such a step.
    """
    name = workflow if isinstance(workflow, str) else getattr(workflow, "name", None)
    if not isinstance(name, str):
        hint = 'write sub_workflow("daily-report", {"day": day}), or give the decorated function'
        raise DefinitionError("wrong_type", f"sub_workflow(): expected a workflow, found {described(workflow)}", hint=hint)
    built = Steps().sub_workflow("workflow", name, version=version, inputs=inputs, detach=detach)
    if isinstance(workflow, Declares):
        declaring("sub_workflow").calls.append(workflow)
    return _added("sub_workflow", built, options=options, otherwise=name)


def approval(
    *,
    approvers: Any = None,
    message: str | Placeholder | None = None,
    form: Mapping[str, Any] | None = None,
    deadline: Any = None,
    escalation: Mapping[str, Any] | None = None,
    **options: Unpack[StepOptions],
) -> Any:
    """Add a decision of a person."""
    built = Steps().approval("approval", approvers=approvers, message=message, form=form, deadline=deadline, escalation=escalation)
    return _added("approval", built, options=options)


def set_variables(values: Mapping[str, Any], /, **options: Unpack[StepOptions]) -> Any:
    """Add a step that gives variables of the workflow new values: ``set_variables({"count": 1})``.

    Steps that read one of them and are declared later follow it, and it follows those that were declared before and surely run. One
    with ``when`` would skip its followers: set the variable in a ``condition``.
    """
    if not isinstance(values, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] -- of a program without types
        raise DefinitionError("wrong_type", f"set_variables(): expected a mapping, found {described(values)}", hint=_SET)
    return _added(
        "set_variables", TaskBuilder("set").with_type("set", written(values, what="set")), options=options, otherwise="set"
    )


def wait(
    *,
    duration: Any = None,
    until: Any = None,
    signal: str | Placeholder | None = None,
    filter: When | Callable[..., object] | None = None,  # noqa: A002 -- the word of the language
    deadline: Any = None,
    **options: Unpack[StepOptions],
) -> Any:
    """Add a wait: for a time, until an instant, or for a signal (that passes a filter, and not longer than a deadline).

    The filter is a condition, or a function that makes one of the signal's data: ``filter=lambda event: event.order == order``.
    """
    passes: Any = filter
    if callable(filter) and not isinstance(filter, Placeholder):
        passes = condition_of(called(filter, {}, first=Placeholder("event"), what="filter of wait()"), what="filter")
    built = Steps().wait("wait", duration=duration, until=until, signal=signal, filter=passes, deadline=deadline)
    return _added("wait", built, options=options)


def send_signal(
    signal: str, *, execution: Any = None, business_key: Any = None, data: Any = None, **options: Unpack[StepOptions]
) -> Any:
    """Add a step that sends a signal to another execution."""
    built = Steps().send_signal("signal", signal, execution=execution, business_key=business_key, data=data)
    return _added("send_signal", built, options=options, otherwise="signal")


def fail(*, type: str | None = None, message: str | Placeholder | None = None, **options: Unpack[StepOptions]) -> Any:
    """Add a step that fails."""
    return _added("fail", Steps().fail("fail", type=type, message=message), options=options)


def aggregate(
    items: Any, operation: str, *, field: str | None = None, group_by: str | None = None, **options: Unpack[StepOptions]
) -> Any:
    """Add a sum, a count and the like over items."""
    built = Steps().aggregate("aggregate", items=items, operation=operation, field=field, group_by=group_by)
    return _added("aggregate", built, options=options)


def status_of(result: object) -> Any:
    """How the step ended that gave this result, for a step that starts whatever became of it: ``status_of(rows) == "failed"``."""
    return Placeholder(f"{_step_of('status_of', result)}.status")


def error_of(result: object) -> Any:
    """Why the step failed that should have given this result: ``error_of(paid).message``, ``error_of(paid).type``."""
    return Placeholder(f"{_step_of('error_of', result)}.error")


def _step_of(word: str, result: object) -> str:
    name = result.__expression__.removesuffix(".output") if isinstance(result, Placeholder) else ""
    if name.count(".") != 1 or not name.startswith("steps."):
        found = repr(result) if isinstance(result, Placeholder) else described(result)
        raise DefinitionError(
            "wrong_type", f"{word}(): expected what a step gave, found {found}", hint=f"{word}(rows), not of a part of it"
        )
    return name


def opened(word: str, built: TaskBuilder, *, options: Mapping[str, Any], otherwise: str = "") -> tuple[Trace, Step, frozenset[str]]:
    """Where a step is to be added, the step itself, and what was said about it. Raises ``DefinitionError``."""
    trace = declaring(word)
    _must_be_known(word, options)
    said = cast("StepOptions", options)
    fields = fields_of(said)
    base = built.build().step
    step_id, shown = trace.named(said, otherwise=otherwise or word)
    if "compensate" in said:
        fields["compensate"] = compensation(trace, said["compensate"], of=step_id, given={})
    config = {**base.config, **fields.pop("config", {})}
    return trace, msgspec.structs.replace(base, **{**fields, "id": step_id, "name": shown, "config": config}), frozenset(fields)


def _added(word: str, built: TaskBuilder, *, options: Mapping[str, Any], otherwise: str = "") -> Any:
    trace, step, said = opened(word, built, options=options, otherwise=otherwise)
    return trace.add(step, after=options.get("after", ()), said=said)


def _must_be_known(word: str, options: Mapping[str, Any]) -> None:
    known = list(StepOptions.__annotations__)
    unknown = [name for name in options if name not in known]
    if unknown:
        meant = nearest(unknown[0], known)
        hint = f"did you mean {quoted(meant)}?" if meant else f"every step knows {', '.join(known)}"
        if word == "set_variables":
            hint = _SET
        raise DefinitionError("unknown_key", f"{word}() knows no {listed(unknown)}", hint=hint)


_SET = 'write set_variables({"count": 1})'

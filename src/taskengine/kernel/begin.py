"""Steps that the kernel performs itself: how each type begins. Decisions only; found in the table ``BEGIN``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from taskengine.errors import ExpressionError, LimitError
from taskengine.expr import truth
from taskengine.kernel.aggregate import aggregated
from taskengine.kernel.approval import asked
from taskengine.kernel.attempt import completion, expression_failure
from taskengine.kernel.context import context
from taskengine.kernel.post import child_id
from taskengine.kernel.state import Execution
from taskengine.model import event as ev
from taskengine.model.duration import parse_duration_ms, parse_instant
from taskengine.model.value import Instant, TaskError, raw

__all__ = ["begin"]

_WAITS_FOR: Final = ("duration", "until", "signal")
_MOST_ITERATIONS: Final = 100_000  # and items that a container goes through
_DEEPEST: Final = 32  # workflows that start each other


def begin(state: Execution, number: int, attempt: int, at: Instant) -> Sequence[ev.Event]:
    """Begin a control step: its config is rendered, and what follows at once is said. A bad config fails the task."""
    step = state.steps[number]
    try:
        config: Any = step.input.render(context(state, step.input_reads, state.scopes[number]))
        return BEGIN[step.step.type](state, number, attempt, at, config)
    except (ExpressionError, LimitError) as error:
        return expression_failure(number, attempt, at, f"config: {error}")
    except ValueError as error:
        failure = TaskError(type="ValidationError", message=f"config: {error}")
        return (ev.TaskFailed(at=at, task=number, attempt=attempt, error=failure),)


# ── steps that end at once ───────────────────────────────────────────────────────────────────────────────────────────


def _noop(state: Execution, number: int, attempt: int, at: Instant, _: Mapping[str, Any]) -> Sequence[ev.Event]:
    return completion(state, number, attempt, at)


def _set(state: Execution, number: int, attempt: int, at: Instant, config: Mapping[str, Any]) -> Sequence[ev.Event]:
    values = {name: raw(value) for name, value in config.items()}
    ended = completion(state, number, attempt, at, output=raw(dict(config)))
    return (ev.VariablesSet(at=at, values=values, task=number), *ended)


def _fail(_: Execution, number: int, attempt: int, at: Instant, config: Mapping[str, Any]) -> Sequence[ev.Event]:
    kind, message = config.get("type") or "Failed", config.get("message") or ""
    if not (isinstance(kind, str) and isinstance(message, str)):
        raise ValueError("type and message are texts")
    return (ev.TaskFailed(at=at, task=number, attempt=attempt, error=TaskError(type=kind, message=message)),)


def _signal(state: Execution, number: int, attempt: int, at: Instant, config: Mapping[str, Any]) -> Sequence[ev.Event]:
    name, target = config.get("signal"), config.get("execution")
    for what, value in (("signal", name), ("execution", target)):
        if not isinstance(value, str) or not value:
            raise ValueError(f"{what} is a text, not {value!r}")
    sent = ev.SignalSent(at=at, task=number, execution_id=str(target), name=str(name), data=raw(config.get("data")))
    return (sent, *completion(state, number, attempt, at))


def _aggregate(state: Execution, number: int, attempt: int, at: Instant, config: Mapping[str, Any]) -> Sequence[ev.Event]:
    return completion(state, number, attempt, at, output=raw(aggregated(config)))


# ── waits ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _wait(_: Execution, number: int, attempt: int, at: Instant, config: Mapping[str, Any]) -> Sequence[ev.Event]:
    signal, due_at = _awaited(config, at)
    started = ev.TaskStarted(at=at, task=number, attempt=attempt, signal=signal)
    return (started,) if due_at is None else (started, ev.TimerSet(at=at, task=number, due_at=due_at))


def _awaited(config: Mapping[str, Any], at: Instant) -> tuple[str, Instant | None]:
    """The signal that a wait waits for, and until when. Raises ``ValueError``."""
    given = [key for key in _WAITS_FOR if key in config]
    if len(given) != 1:
        raise ValueError(f"a wait has one of {', '.join(_WAITS_FOR)}, this one has {' and '.join(given) or 'none'}")
    if given == ["duration"]:
        return "", at + parse_duration_ms(config["duration"])
    if given == ["until"]:
        return "", parse_instant(config["until"])
    signal = config["signal"]
    if not isinstance(signal, str) or not signal:
        raise ValueError(f"the name of a signal is text, not {signal!r}")
    return signal, at + parse_duration_ms(config["deadline"]) if "deadline" in config else None


def _workflow(state: Execution, number: int, attempt: int, at: Instant, config: Mapping[str, Any]) -> Sequence[ev.Event]:
    """A child begins; a detached one is not waited for."""
    if not isinstance(config.get("workflow"), str) or not config["workflow"]:
        raise ValueError(f"workflow is a name, not {config.get('workflow')!r}")
    if state.parent is not None and state.parent.depth >= _DEEPEST:
        raise ValueError(f"workflows call each other {_DEEPEST} deep")
    for key, kind in (("version", str), ("detach", bool)):
        if not isinstance(config.get(key), kind | None):
            raise ValueError(f"{key} is {'a text' if kind is str else 'true or false'}, not {config[key]!r}"[:200])
    child = child_id(state, number, attempt, at)
    said = {key: value for key, value in config.items() if value is not None or key == "input"}
    started = ev.TaskStarted(at=at, task=number, attempt=attempt, input=raw(said), child=child)
    if config.get("detach"):
        return (started, *completion(state, number, attempt, at, output=raw({"execution_id": child})))
    return (started,)


# ── containers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _condition(state: Execution, number: int, attempt: int, at: Instant, _: Mapping[str, Any]) -> Sequence[ev.Event]:
    scope = state.scopes[number]
    case = -1
    for place, block in enumerate(state.steps[number].blocks):
        if block.when is None or truth(block.when, context(state, block.when_reads, scope)):
            case = place
            break
    return (ev.TaskStarted(at=at, task=number, attempt=attempt, case=case),)


def _group(_: Execution, number: int, attempt: int, at: Instant, config: Mapping[str, Any]) -> Sequence[ev.Event]:
    if "items" in config:
        items = config["items"]
        if not isinstance(items, list):
            raise ValueError(f"items is a list, not {_kind(items)}")
        count = len(cast("list[Any]", items))
        if count > _MOST_ITERATIONS:
            raise ValueError(f"{count:,} items, {_MOST_ITERATIONS:,} are allowed: go through lists of lists")
    for key in ("max_concurrency", "batch_size", "max_iterations"):
        bound = config.get(key)
        if bound is not None and not (type(bound) is int and 1 <= bound <= _MOST_ITERATIONS):
            raise ValueError(f"{key} is a whole number from 1 to {_MOST_ITERATIONS:,}, not {bound!r}")
    return (ev.TaskStarted(at=at, task=number, attempt=attempt, input=raw(dict(config))),)


def _kind(value: object) -> str:
    names: dict[type, str] = {dict: "an object", str: "a text", type(None): "none", bool: "true or false"}
    return names.get(type(value), "a number")


def _map(state: Execution, number: int, attempt: int, at: Instant, config: Mapping[str, Any]) -> Sequence[ev.Event]:
    if "items" not in config:
        raise ValueError("a map has items")
    return _group(state, number, attempt, at, config)


Begin = Callable[[Execution, int, int, Instant, Mapping[str, Any]], Sequence[ev.Event]]
BEGIN: Final[Mapping[str, Begin]] = {
    "noop": _noop,
    "set": _set,
    "fail": _fail,
    "aggregate": _aggregate,
    "signal": _signal,
    "workflow": _workflow,
    "wait": _wait,
    "approval": asked,
    "condition": _condition,
    "parallel": _group,
    "map": _map,
    "loop": _group,
}

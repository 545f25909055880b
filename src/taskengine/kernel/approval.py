"""A step that asks people: whom, until when, and what follows from their decision. Decisions only.

Who may decide stands in the config that was rendered when it was asked; an escalation adds to them. A form judges the data that
comes with a decision before the command reaches the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from taskengine.errors import CommandRefusedError
from taskengine.kernel.attempt import completion
from taskengine.kernel.rounds import must_not_be_cancelling
from taskengine.kernel.state import Execution
from taskengine.kernel.timing import Clock
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.duration import parse_duration_ms
from taskengine.model.status import Phase
from taskengine.model.value import NONE, Instant, Raw, TaskError, encode, raw

__all__ = ["approvers_of", "asked", "decided", "escalated", "is_asking", "stopped_clocks"]


class _Escalation(msgspec.Struct, frozen=True):
    to: tuple[str, ...]


class _Asked(msgspec.Struct, frozen=True):
    """What is remembered of the rendered config."""

    approvers: tuple[str, ...] = ()  # nobody is named: anybody may decide
    escalation: _Escalation | None = None


_config: Final = msgspec.json.Decoder(_Asked)


def asked(state: Execution, number: int, attempt: int, at: Instant, config: Mapping[str, Any]) -> Sequence[ev.Event]:
    """Begin to ask. Raises ``ValueError`` for a config that says nothing that can be done."""
    del state
    if "approvers" in config:
        _must_be_names(config["approvers"], "approvers")
    if not isinstance(config.get("message", ""), str):
        raise ValueError("message is text")
    events: list[ev.Event] = [ev.TaskStarted(at=at, task=number, attempt=attempt, input=raw(dict(config)))]
    if "deadline" in config:
        events.append(ev.TimerSet(at=at, task=number, due_at=at + parse_duration_ms(config["deadline"])))
    if "escalation" in config:
        due_at = at + _escalates_after(config["escalation"])
        events.append(ev.TimerSet(at=at, task=number, due_at=due_at, kind=ev.TimerKind.ESCALATION))
    return events


def _escalates_after(escalation: object) -> int:
    if not isinstance(escalation, dict) or not {"after", "to"} <= escalation.keys():
        raise ValueError("an escalation says after which time and to whom: {after: 1d, to: [bob]}")
    said = cast("dict[str, Any]", escalation)
    _must_be_names(said["to"], "escalation.to")
    return parse_duration_ms(said["after"])


def _must_be_names(names: object, what: str) -> None:
    """An empty list is refused: left out, it would mean anybody."""
    listed = cast("list[object]", names) if isinstance(names, list) else []
    if not (listed and all(isinstance(name, str) and name for name in listed)):
        raise ValueError(f"{what} is a list of names, at least one")


def is_asking(state: Execution, number: int) -> bool:
    """Whether a task waits for a decision."""
    return state.phase[number] == Phase.WAITING and state.steps[number].step.type == "approval" and not state.is_finished


def approvers_of(state: Execution, number: int) -> tuple[str, ...]:
    """Who may decide a task that asks; empty: anybody."""
    task = state.live[number]
    named = _config.decode(task.input).approvers
    return tuple(dict.fromkeys((*named, *task.escalated_to))) if named else ()


def escalated(state: Execution, number: int, at: Instant) -> Sequence[ev.Event]:
    """Nobody has decided in time."""
    escalation = _config.decode(state.live[number].input).escalation
    assert escalation is not None, "its clock was set"
    return (ev.ApprovalEscalated(at=at, task=number, to=escalation.to),)


def stopped_clocks(state: Execution, number: int, at: Instant) -> Sequence[ev.Event]:
    """A waiting task ends before its time."""
    timers = state.timers
    if timers.has(number, Clock.WAIT) or timers.has(number, Clock.ESCALATE):
        return (ev.TimerCancelled(at=at, task=number),)
    return ()


def decided(state: Execution, command: cmd.Decide, at: Instant) -> Sequence[ev.Event]:
    """A decision ends the step: completed with what was said, or failed as ``Rejected``. Raises ``CommandRefusedError``."""
    number = state.number_of(command.path)
    _must_be_asking(state, number, command.path)
    names = approvers_of(state, number)
    if names and command.by not in names:
        who = command.by or "somebody without a name"
        raise CommandRefusedError("not_an_approver", f"{who} may not decide {command.path}", hint=f"ask {', '.join(names)}")
    attempt = state.live[number].attempt
    decision = ev.ApprovalDecided(
        at=at,
        task=number,
        attempt=attempt,
        is_approved=command.is_approved,
        by=command.by,
        comment=command.comment,
        data=command.data,
    )
    stops = stopped_clocks(state, number, at)
    if not command.is_approved:
        message = command.comment or (f"by {command.by}" if command.by else "")
        return (
            decision,
            *stops,
            ev.TaskFailed(at=at, task=number, attempt=attempt, error=TaskError(type="Rejected", message=message)),
        )
    output = Raw(encode({"approved": True, "by": command.by, "comment": command.comment, "data": command.data or NONE}))
    return (decision, *stops, *completion(state, number, attempt, at, output=output))


def _must_be_asking(state: Execution, number: int, path: str) -> None:
    if state.steps[number].step.type != "approval":
        raise CommandRefusedError("not_waiting_for_approval", f"{path} is no approval")
    if not is_asking(state, number):
        raise CommandRefusedError("not_waiting_for_approval", f"{path} is {state.status_of(number)}: it asks nobody now")
    must_not_be_cancelling(state, number)
    if state.is_paused or state.is_held(number):
        raise CommandRefusedError(
            "paused", f"{path} is paused: its clocks stand still, and so does the question", hint="resume it first"
        )

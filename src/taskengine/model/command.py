"""What comes in: control requests from people, and what the shell reports. Every one carries the instant it happened (``at``).

The kernel reads no clock: ``at`` is the only time there is. ``by`` and ``reason`` go into the event that the command causes.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from taskengine.model.event import TakenOver
from taskengine.model.status import Status
from taskengine.model.value import ABSENT, Instant, Parent, Raw, TaskError

__all__ = [
    "Abandoned",
    "Admit",
    "AttemptEnd",
    "Cancel",
    "ChildEnded",
    "Command",
    "Control",
    "Decide",
    "Failed",
    "Fork",
    "Lost",
    "Pause",
    "Progress",
    "Report",
    "Resume",
    "Retry",
    "SetVariables",
    "Signal",
    "Silent",
    "Skip",
    "Start",
    "Succeeded",
    "Terminate",
    "Tick",
]


class _Command(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True, tag_field="type", omit_defaults=True):
    at: Instant


class Succeeded(msgspec.Struct, frozen=True, gc=False, tag=True, tag_field="type"):
    """The attempt ended well."""

    output: Raw


class Failed(msgspec.Struct, frozen=True, gc=False, tag=True, tag_field="type"):
    """The attempt ended badly; the retry policy decides what follows."""

    error: TaskError


class Abandoned(msgspec.Struct, frozen=True, gc=False, tag=True, tag_field="type"):
    """The attempt stopped because it was told to."""


AttemptEnd: TypeAlias = Succeeded | Failed | Abandoned


class Start(_Command, frozen=True, kw_only=True):
    """Begin an execution; only valid as the first command.

    ``pins``: the version of each workflow that steps start by name without saying which.
    """

    workflow_id: str
    workflow_version: str
    seed: int
    input: Raw
    variables: dict[str, Raw] = {}
    priority: int | None = None
    business_key: str = ""
    by: str = ""
    parent: Parent | None = None
    pins: dict[str, str] = {}


class Fork(Start, frozen=True, kw_only=True):
    """Begin an execution with what tasks gave in another one, ``origin``; only valid as the first command."""

    origin: str
    path: str
    tasks: tuple[TakenOver, ...] = ()


class Signal(_Command, frozen=True, kw_only=True):
    """A message for a waiting step; early ones wait in order."""

    name: str
    data: Raw
    by: str = ""


class Pause(_Command, frozen=True, kw_only=True):
    """Start nothing new at or below ``path`` (``/`` is the execution, ``/step/`` one task).

    ``is_inherited``: the execution that started this one says so; it is held until both that and people let it go.
    """

    path: str = "/"
    by: str = ""
    reason: str = ""
    is_inherited: bool = False


class Resume(_Command, frozen=True, kw_only=True):
    """End the pause of exactly this path. ``is_inherited``: the execution that started this one says so."""

    path: str = "/"
    by: str = ""
    reason: str = ""
    is_inherited: bool = False


class Cancel(_Command, frozen=True, kw_only=True):
    """Ask what runs at or below ``path`` to stop; nothing there starts any more. ``compensates``: of ``/``, undo what was done."""

    path: str = "/"
    by: str = ""
    reason: str = ""
    compensates: bool = False


class Terminate(_Command, frozen=True, kw_only=True):
    """End it now; running attempts are told to stop and are not waited for."""

    path: str = "/"
    by: str = ""
    reason: str = ""


class Retry(_Command, frozen=True, kw_only=True):
    """A new round for the failed and cancelled tasks of an execution, or for one of them."""

    path: str = "/"
    by: str = ""
    reason: str = ""


class Skip(_Command, frozen=True, kw_only=True):
    """Go on without one task, as if it had been done; of a finished execution it is a retry that skips."""

    path: str
    by: str = ""
    reason: str = ""


class Decide(_Command, frozen=True, kw_only=True):
    """Approve or reject: the end of an approval that waits. ``data`` was judged by the step's form before."""

    path: str
    is_approved: bool
    by: str = ""
    comment: str = ""
    data: Raw = ABSENT


class SetVariables(_Command, frozen=True, kw_only=True):
    """Give variables of a running execution new values."""

    values: dict[str, Raw]
    by: str = ""


class Report(_Command, frozen=True, kw_only=True):
    """How attempt n of a task ended."""

    task: int
    attempt: int
    end: AttemptEnd


class ChildEnded(_Command, frozen=True, kw_only=True):
    """The execution that a sub-workflow step has started has ended."""

    task: int
    attempt: int
    child: str
    status: Status
    output: Raw = ABSENT
    error: TaskError | None = None


class Progress(_Command, frozen=True, kw_only=True):
    """Attempt n of a task is alive and may say how far it has come (``{fraction?, message?, data?}``)."""

    task: int
    attempt: int
    progress: Raw = ABSENT


class Silent(_Command, frozen=True, kw_only=True):
    """Attempt n of a task has given no sign of life for as long as its step allows."""

    task: int
    attempt: int


class Lost(_Command, frozen=True, kw_only=True):
    """These attempts are gone: their process died, or a graceful stop gave them back (not counted)."""

    attempts: tuple[tuple[int, int], ...]
    is_counted: bool = True


class Tick(_Command, frozen=True, kw_only=True):
    """Time has passed; whatever is due happens."""


class Admit(_Command, frozen=True, kw_only=True):
    """The shell holds so many free slots for this execution; suspects need the one slot kept for them."""

    slots: int
    suspect_slots: int = 0


Control: TypeAlias = Pause | Resume | Cancel | Terminate | Retry | Skip | Decide | SetVariables
Command: TypeAlias = Start | Fork | Signal | Control | Report | ChildEnded | Progress | Silent | Lost | Tick | Admit

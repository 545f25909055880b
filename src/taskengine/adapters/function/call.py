"""What the engine and a process that performs functions say to each other: JSON in frames, over a socket. No pickle anywhere."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from taskengine.model.value import NONE, Raw, TaskError
from taskengine.model.workflow import Step

__all__ = ["BEAT", "CALL", "END", "HEARD", "LOG", "PROGRESS", "REDACT", "Address", "Call", "Said", "Shown", "Told"]

CALL: Final = b"c"  # engine → worker: perform this
BEAT: Final = b"b"  # worker → engine, here and below: alive
HEARD: Final = b"h"  # not silent
PROGRESS: Final = b"p"
LOG: Final = b"l"
REDACT: Final = b"r"
END: Final = b"e"


class Address(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a process of its own finds a function. ``file``: where its module is, when it has no name to be imported by."""

    module: str
    qualname: str
    file: str = ""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, with all that the function may ask about it."""

    function: Address
    execution_id: str
    source: str
    step: Step
    path: str
    idempotency_key: str
    number: int
    task: int
    input: Raw
    upstream: dict[str, Raw] = {}
    last_progress: Raw = NONE
    search: list[str]  # sys.path
    log_level: int
    max_payload: int
    max_nesting: int


class Shown(msgspec.Struct, frozen=True):
    """How far it is."""

    fraction: float | None
    message: str
    data: Any  # JSON, as `Json` says; a recursive alias is no type that msgspec reads


class Said(msgspec.Struct, frozen=True):
    """A line for the task's log."""

    message: str
    level: str
    source: str


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """How the attempt ended. ``is_clean``: the process can perform another one."""

    output: Raw = NONE
    error: TaskError | None = None
    is_clean: bool = True

"""A workflow as data: what a document or a builder says after it was read, normalised and frozen. Durations are milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from importlib import import_module
from typing import Any, Final

import msgspec

__all__ = ["CONTROL_STEPS", "UNRENDERED", "Isolation", "Join", "Limits", "OnError", "RetryPolicy", "Step", "Workflow"]


class Definition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of all definitions: immutable, equal by value, unknown fields refused."""


class Join(StrEnum):
    """When a step may start, judged by how its dependencies ended."""

    ALL_SUCCESS = "all_success"
    ALL_DONE = "all_done"
    ANY_SUCCESS = "any_success"
    ANY_FAILED = "any_failed"
    NONE_FAILED = "none_failed"


class OnError(StrEnum):
    """What a step's final failure means for the execution."""

    FAIL = "fail"
    CONTINUE = "continue"


class Isolation(StrEnum):
    """How far a script is kept from the machine it runs on."""

    PROCESS = "process"
    SANDBOX = "sandbox"
    STRICT = "strict"


class RetryPolicy(Definition, frozen=True, kw_only=True):
    """How often and how long apart a failed attempt is made again. ``max_attempts`` counts the first one."""

    max_attempts: int = 1
    initial_interval_ms: int = 1_000
    max_interval_ms: int = 300_000
    backoff_coefficient: float = 2.0
    jitter: float = 0.1
    non_retryable_errors: tuple[str, ...] = ()


class Limits(Definition, frozen=True, kw_only=True):
    """Bounds of one execution. ``priority`` is 0 to 9, 9 first; ``max_concurrency`` bounds attempts at the same time."""

    timeout_ms: int | None = None
    max_concurrency: int | None = None
    priority: int = 5


class Step(Definition, frozen=True, kw_only=True):
    """One node of the graph. ``config`` and ``input_mapping`` may hold templates."""

    id: str
    type: str
    name: str = ""
    description: str = ""
    config: dict[str, Any] = {}
    depends_on: tuple[str, ...] = ()
    when: str | None = None
    join: Join = Join.ALL_SUCCESS
    handles: tuple[str, ...] = ()
    input_mapping: dict[str, Any] = {}
    output_mapping: dict[str, Any] = {}
    retry: RetryPolicy = RetryPolicy()
    timeout_ms: int | None = None
    total_timeout_ms: int | None = None
    queue_timeout_ms: int | None = None
    heartbeat_ms: int | None = None
    isolation: Isolation | None = None
    priority: int | None = None
    is_idempotent: bool = True
    on_error: OnError = OnError.FAIL
    tags: tuple[str, ...] = ()


class Workflow(Definition, frozen=True, kw_only=True):
    """A named, versioned graph. ``version`` is the author's label, empty for the next number."""

    name: str
    version: str = ""
    description: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    input_schema: dict[str, Any] | None = None
    output: Any = None
    variables: dict[str, Any] = {}
    limits: Limits = Limits()
    steps: tuple[Step, ...] = ()

    def to_ascii(self) -> str:
        """The graph as text."""
        return _drawing().to_ascii(self)

    def to_mermaid(self) -> str:
        """The graph in Mermaid's language."""
        return _drawing().to_mermaid(self)

    def to_svg(self) -> str:
        """The graph as a picture."""
        return _drawing().to_svg(self)

    def _repr_html_(self) -> str:
        return self.to_svg()

    def _repr_svg_(self) -> str:
        return self.to_svg()


def _drawing() -> Any:
    """What draws, found by name when something is drawn: it stands above the model, which knows none of it."""
    return import_module("taskengine.define.diagram")


# Steps that the kernel performs itself: they take no slot.
CONTROL_STEPS: Final = frozenset({"noop", "wait"})
# What a step's config holds that is no template: a script's own text, and what is judged when the answer is there.
UNRENDERED: Final[Mapping[str, frozenset[str]]] = {"script": frozenset({"script", "inline"}), "http": frozenset({"success_when"})}

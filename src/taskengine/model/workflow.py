"""A workflow as data: what a document or a builder says after it was read, normalised and frozen. Durations are milliseconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import msgspec

__all__ = [
    "CONTAINERS",
    "CONTROL_STEPS",
    "ITERATED",
    "UNRENDERED",
    "Block",
    "Isolation",
    "Join",
    "Limits",
    "OnError",
    "OnFailure",
    "RetryPolicy",
    "Step",
    "Success",
    "Workflow",
    "is_control",
]


class _Definitions(msgspec.StructMeta):
    """Makes definitions; a word that is no attribute is answered with the one that was probably meant."""

    if not TYPE_CHECKING:  # checkers go on seeing each one's own attributes

        def __call__(self, *arguments: Any, **attributes: Any) -> Any:
            try:
                return super().__call__(*arguments, **attributes)
            except TypeError as error:
                unknown = next((name for name in attributes if name not in self.__struct_fields__), None)
                if unknown is None:
                    raise
                raise TypeError(f"{self.__name__} has no attribute {unknown!r}{_meant(unknown, self.__struct_fields__)}") from error


def _meant(word: str, known: tuple[str, ...]) -> str:
    """The advice: an attribute that has the word for a part, else one that is spelled alike."""
    import difflib  # noqa: PLC0415 -- few are misspelled

    near = [name for name in known if name.startswith(f"{word}_") or name.endswith(f"_{word}")]
    near += difflib.get_close_matches(word, known, n=1)
    if not near:
        return f"; it has {', '.join(known)}"
    return f", did you mean {near[0]!r}?" + (" It is a number of milliseconds." if near[0].endswith("_ms") else "")


class Definition(msgspec.Struct, metaclass=_Definitions, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
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


class OnFailure(StrEnum):
    """What follows when an execution has failed."""

    FAIL = "fail"
    COMPENSATE = "compensate"


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


class Success(Definition, frozen=True, kw_only=True):
    """When a group of tasks has succeeded. Without any field: when none of them failed. At most one field is given.

    ``at_least`` counts completed ones, ``percent`` is their share of all (0 to 100), ``when`` an expression over ``children``.
    """

    at_least: int | None = None
    percent: float | None = None
    when: str | None = None


class Block(Definition, frozen=True, kw_only=True):
    """Steps that run together inside a container: a case, a branch, the body of a map or a loop.

    ``name`` is a branch's or a case's; ``when`` a case's condition, absent for the `else` of a condition, which comes last.
    ``output`` is a template for what the block gives; without it, it gives what its last steps gave.
    """

    name: str = ""
    when: str | None = None
    steps: tuple[Step, ...] = ()
    output: Any = None


class Step(Definition, frozen=True, kw_only=True):
    """One node of the graph. ``config`` and ``input_mapping`` may hold templates. ``blocks`` are a container's.

    ``compensate`` undoes what the step did: a step without an id, dependencies or blocks.
    """

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
    blocks: tuple[Block, ...] = ()
    success: Success | None = None
    compensate: Step | None = None


class Workflow(Definition, frozen=True, kw_only=True):
    """A named, versioned graph. ``version`` is the author's label, empty for the next number."""

    name: str
    version: str = ""
    description: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    input_schema: dict[str, Any] | None = None
    output: Any = None
    business_key: str = ""
    variables: dict[str, Any] = {}
    success: Success | None = None
    on_failure: OnFailure = OnFailure.FAIL
    is_template: bool = False
    limits: Limits = Limits()
    steps: tuple[Step, ...] = ()

    def every_step(self) -> Iterator[Step]:
        """Every step, those inside of others and what undoes one behind it. A compensation has no id."""
        left = [*reversed(self.steps)]
        while left:
            step = left.pop()
            yield step
            inside = [one for block in step.blocks for one in block.steps]
            undoing = [] if step.compensate is None else [step.compensate]
            left += reversed([*inside, *undoing])

    @property
    def step_count(self) -> int:
        """How many steps the document has, those inside of others among them; compensations are not counted."""
        return sum(1 for step in self.every_step() if step.id)

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


# Steps that hold blocks of further steps.
CONTAINERS: Final = frozenset({"condition", "parallel", "map", "loop"})
# Steps that the kernel performs itself: they take no slot.
ITERATED: Final = ("item", "index")  # names that only steps inside of a map or a loop know
CONTROL_STEPS: Final = CONTAINERS | {"noop", "wait", "set", "fail", "aggregate", "signal", "approval", "workflow"}


def is_control(step: Step) -> bool:
    """Whether the kernel performs the step itself. A signal to a business key is work: who has the key is not in the state."""
    return step.type in CONTROL_STEPS and not (step.type == "signal" and "business_key" in step.config)


# What a step's config holds that is no template: a script's own text, and what is judged later than the input is made.
UNRENDERED: Final[Mapping[str, frozenset[str]]] = {
    "script": frozenset({"script", "inline"}),
    "http": frozenset({"success_when"}),
    "loop": frozenset({"while", "until"}),
    "wait": frozenset({"filter"}),
    "approval": frozenset({"form"}),
}

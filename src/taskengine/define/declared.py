"""What a program declared: the workflow, and the functions that its steps name. What builders and decorators give to the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from taskengine.errors import DefinitionError
from taskengine.model.workflow import Step, Workflow

if TYPE_CHECKING:
    from taskengine.define.finding import Finding
    from taskengine.define.functions import Named

__all__ = ["Declared", "Declares", "Drawn", "called_by", "declared_by", "must_be_sound", "not_yet", "sound"]

_SHOWN: Final = 8


class Drawn(ABC):
    """What prints itself: as a document, as text, as a picture. Notebooks show the picture."""

    __slots__ = ()

    @abstractmethod
    def declared(self) -> Declared:
        """The workflow and its functions: what the engine asks everything for that it deploys."""

    def to_json(self) -> str:
        """The document, as it is stored."""
        from taskengine.define.canonical import to_document  # noqa: PLC0415 -- only who writes one needs it

        return to_document(self.declared().workflow).decode()

    def to_yaml(self) -> str:
        """The document as YAML: reading it gives the same workflow."""
        from taskengine.define.yaml_writer import to_yaml  # noqa: PLC0415 -- loads the YAML library

        return to_yaml(self.declared().workflow)

    def to_ascii(self) -> str:
        """The graph as text."""
        return self.declared().workflow.to_ascii()

    def to_mermaid(self) -> str:
        """The graph in Mermaid's language."""
        return self.declared().workflow.to_mermaid()

    def to_svg(self) -> str:
        """The graph as a picture."""
        return self.declared().workflow.to_svg()

    def _repr_html_(self) -> str:
        return self.to_svg()

    def _repr_svg_(self) -> str:
        return self.to_svg()

    def __str__(self) -> str:
        return self.to_ascii()


class Declared(Drawn):
    """A workflow that was built and checked. Immutable; equal when the workflows are."""

    __slots__ = ("calls", "findings", "functions", "workflow")

    def __init__(
        self, workflow: Workflow, functions: Named, *, findings: tuple[Finding, ...] = (), calls: tuple[Declares, ...] = ()
    ) -> None:
        self.workflow = workflow
        self.functions = functions
        self.calls = calls  # the workflows that steps start, where they were given themselves and not by name
        self.findings = findings  # warnings: an error is raised

    def declared(self) -> Declared:
        """Itself."""
        return self

    @property
    def name(self) -> str:
        """The workflow's name."""
        return self.workflow.name

    @property
    def version(self) -> str:
        """The workflow's version, empty for the next number."""
        return self.workflow.version

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps in the order in which they were added."""
        return self.workflow.steps

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Declared) and self.workflow == other.workflow

    __hash__ = None  # type: ignore[assignment]  # a workflow holds dicts

    def __repr__(self) -> str:
        names = [step.id for step in self.workflow.steps[:_SHOWN]]
        more = ", …" if len(self.workflow.steps) > _SHOWN else ""
        return f"<workflow {self.workflow.name!r}: {', '.join(names)}{more}>"


@runtime_checkable
class Declares(Protocol):
    """What the engine can deploy beside a plain ``Workflow``: a builder, what it built, a decorated function."""

    def declared(self) -> Declared:
        """The workflow and its functions. Raises ``DefinitionError``."""
        ...


def declared_by(thing: object) -> Declared:
    """What was declared. ``DefinitionError("not_a_workflow")`` for anything that declares none."""
    if isinstance(thing, Declares):
        return thing.declared()
    from taskengine.define.phrase import described  # noqa: PLC0415 -- words are loaded when there is something to say

    hint = "pass a Workflow, a builder, a function decorated with @workflow, or the name of a stored workflow"
    raise DefinitionError("not_a_workflow", f"expected a workflow, found {described(thing)}", hint=hint)


def called_by(declared: Declared | Workflow) -> list[Declared]:
    """The workflows that this one and those start, where they were given themselves and not by name; without itself."""
    found = [declared] if isinstance(declared, Declared) else []
    for one in found:  # grows meanwhile
        for other in (called.declared() for called in one.calls):
            if not any(other is known for known in found):
                found.append(other)
    return found[1:]


def sound(workflow: Workflow, functions: dict[str, Callable[..., Any]], *, calls: tuple[Declares, ...] = ()) -> Declared:
    """The workflow with its functions and what it calls, if it can run. Raises as ``must_be_sound``."""
    return Declared(workflow, functions, findings=must_be_sound(workflow), calls=calls)


def must_be_sound(workflow: Workflow) -> tuple[Finding, ...]:
    """The warnings; ``DefinitionError`` in the words of the first error, with all ``findings`` as a fact."""
    from taskengine.define.checks import check  # noqa: PLC0415 -- declaring imports little, checking much

    findings = check(workflow)
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return findings
    from taskengine.define.phrase import quoted  # noqa: PLC0415 -- likewise

    first, *others = errors
    more = f" (and {len(others)} more)" if others else ""
    message = f"workflow {quoted(workflow.name)}: {first.path}: {first.message}{more}"
    raise DefinitionError(first.name, message, hint=first.hint, findings=findings)


def not_yet(what: str, *, hint: str = "") -> DefinitionError:
    """The error for a part of the language that this version does not run."""
    message = f"{what} is part of the workflow language, but this version cannot run it yet"
    return DefinitionError("not_in_this_version", message, hint=hint)

"""What expressions and templates read, and whether it will surely be there: every text parsed, every name resolved.

A step may be read only by steps that surely come after it. Severity follows certainty: what must fail is an error, what may is a
warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from taskengine.define.config import TYPES, is_template
from taskengine.define.finding import Keys, Problem, Problems, Spot
from taskengine.define.graph import Graph
from taskengine.define.phrase import listed, quoted
from taskengine.define.values import is_list, is_mapping
from taskengine.errors import ExpressionError, LimitError
from taskengine.expr import expression, template
from taskengine.model.workflow import CONTROL_STEPS, UNRENDERED, Step, Workflow

__all__ = ["check_references"]

_HERE: Final = frozenset({"input", "variables", "steps", "execution"})
_STEP_FIELDS: Final = ("output", "status", "error")
_MAX_CHARACTERS: Final = 65_536  # of a text that holds expressions
_MAX_MARKS: Final = 1_000  # that begin an expression in one text
_MAX_STATEMENTS: Final = 100  # that begin a statement or comment if it is closed: each is looked up to the end of the text
# Words with which an expression takes care of a missing output itself.
_CAREFUL: Final = re.compile(r"\b(?:if|default|is|or|and|none|status)\b")
_CAREFUL_OF_INPUT: Final = re.compile(r"\b(?:if|default|defined|undefined)\b")
# Keywords of JSON Schema that may declare properties elsewhere than under `properties`.
_COMPOSED: Final = frozenset(
    {"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "then", "else", "not", "dependentSchemas", "patternProperties"}
)


class _Text(msgspec.Struct, frozen=True, kw_only=True):
    """An expression, or a text that may hold some."""

    keys: Keys
    source: str
    reader: int | None = None  # the step that reads; None is the workflow's output
    is_condition: bool = False
    is_after: bool = False  # evaluated when the step has ended, with its own output as `output`
    may_hold_secrets: bool = False  # rendered for a step's work


class _Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A text that reads a step."""

    text: _Text
    name: str  # dotted, as `steps.load.output.rows`
    target: int


def check_references(workflow: Workflow, graph: Graph, *, problems: Problems) -> None:
    """Parse every expression and template of the workflow and judge the names in it."""
    _References(workflow, graph, problems=problems).check()


class _References:
    """One pass over the texts of one workflow."""

    def __init__(self, workflow: Workflow, graph: Graph, *, problems: Problems) -> None:
        self._workflow = workflow
        self._graph = graph
        self._problems = problems
        self._doubts = graph.doubts
        self._variables = list(workflow.variables)
        self._declared = _declared(workflow.input_schema)

    def check(self) -> None:
        readings: list[_Reading] = []
        for text in _texts_of(self._workflow):
            if self._problems.is_full:
                return
            for name in self._names(text):
                target = self._resolve(name, text)
                if target is not None:
                    readings.append(_Reading(text=text, name=name, target=target))
        for text in _texts(self._workflow.variables, _Text(keys=("variables",), source="")):
            if is_template(text.source):
                advice = "put the template where the variable is used"
                Spot(self._problems, text.keys).report("template_not_rendered", where="variables", advice=advice)
        self._check_order(readings)
        self._check_skips(readings)

    def _names(self, text: _Text) -> list[str]:
        """The names that a text reads; none after reporting why it cannot be parsed."""
        if not text.is_condition and _is_too_large(text.source):
            at = Spot(self._problems, text.keys)
            at.report("template_too_large", characters=_MAX_CHARACTERS, marks=_MAX_MARKS)
            return []
        extra = ("output",) if text.is_after else ()
        try:
            if text.is_condition:
                return sorted(expression(text.source).names)
            return sorted(template(text.source, extra_roots=extra).names)
        except (ExpressionError, LimitError) as error:
            offset = error.facts.get("offset")
            place, length = (offset, 1) if isinstance(offset, int) else (0, 0)
            at = Spot(self._problems, text.keys)
            at.report("expression_refused", problem=error.message, advice=error.hint, said=error.name, offset=place, length=length)
            return []

    # ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _resolve(self, name: str, text: _Text) -> int | None:
        """Judge one name; the number of the step that it reads, if it reads one that exists."""
        root, _, rest = name.partition(".")
        first = rest.partition(".")[0]
        if root == "output" and text.is_after:
            return None
        if root == "secrets":
            self._check_secret(name, text)
            return None
        if root not in _HERE:
            self._report(text, root, finding="name_not_available", root=quoted(root))
        elif not first:
            return None  # all of it, or a key that is only known later
        elif root == "steps":
            return self._step(name, text)
        elif root == "input":
            self._check_input(first, text)
        elif root == "variables":
            self._check_variable(first, text)
        return None

    def _step(self, name: str, text: _Text) -> int | None:
        _, step_id, *fields = name.split(".")
        number = self._graph.numbers.get(step_id)
        if number is None:
            if not self._doubts.nameless and "steps" not in self._doubts.unread:
                names = self._graph.names
                note = f"known steps: {listed(names)}"
                self._report(
                    text, f"steps.{step_id}", finding="unknown_step", word=step_id, known=names, note=note, read=quoted(step_id)
                )
            return None
        if fields and fields[0] not in _STEP_FIELDS:
            advice = f"did you mean steps.{step_id}.output.{fields[0]}?"
            spelled = f"steps.{step_id}.{fields[0]}"
            self._report(text, spelled, finding="unknown_step_field", advice=advice, read=step_id, field=fields[0])
        return number

    def _check_secret(self, name: str, text: _Text) -> None:
        """A secret is put into a text as it is, after rendering, and only where a step's work begins."""
        if not text.may_hold_secrets:
            self._report(text, name, finding="secret_exposed")
        elif name.count(".") != 1 or name in template(text.source).computed_names:
            self._report(text, name, finding="secret_computed", secret=name if "." in name else "secrets.name")

    def _check_variable(self, name: str, text: _Text) -> None:
        if name in self._workflow.variables or "variables" in self._doubts.unread:
            return
        known = self._variables
        note = f"declared: {listed(known)}" if known else "no variables are declared"
        self._report(
            text,
            f"variables.{name}",
            finding="unknown_variable",
            word=name,
            known=known,
            note=note,
            variable=quoted(name),
            advice="declare it under `variables`",
        )

    def _check_input(self, name: str, text: _Text) -> None:
        known = self._declared
        if known is None:
            return
        if name in known:
            self._check_optional(name, text)
            return
        schema = self._workflow.input_schema or {}
        finding = "unknown_input" if schema.get("additionalProperties") is False else "undeclared_input"
        self._report(
            text,
            f"input.{name}",
            finding=finding,
            word=name,
            known=known,
            note=f"declared: {listed(known)}",
            property=quoted(name),
            advice="declare it under `properties` of the input schema",
        )

    def _check_optional(self, name: str, text: _Text) -> None:
        """Report a condition that reads what the input may lack, and does not look first whether it is there."""
        if not text.is_condition or text.reader is None or _CAREFUL_OF_INPUT.search(text.source):
            return
        schema = self._workflow.input_schema or {}
        required, declared = schema.get("required"), schema.get("properties", {}).get(name)
        is_filled = is_mapping(declared) and "default" in declared
        if not is_filled and (not is_list(required) or name not in required):
            step = quoted(self._graph.steps[text.reader].id)
            self._report(text, f"input.{name}", finding="optional_input", step=step, property=name)

    def _report(
        self,
        text: _Text,
        spelled: str,
        *,
        finding: str,
        word: str = "",
        known: Sequence[str] = (),
        note: str = "",
        **facts: str,
    ) -> None:
        """Report at the place where the name stands in its text."""
        offset, length = _place(text.source, spelled)
        found: dict[str, str | int] = {**facts}
        problem = Problem(
            name=finding, keys=text.keys, facts=found, offset=offset, length=length, word=word, known=known, note=note
        )
        self._problems.add(problem)

    # ── order ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _check_order(self, readings: list[_Reading]) -> None:
        """Report steps that are read by steps they do not surely come before."""
        distant = [(reading, reader) for reading in readings if (reader := self._needs_proof(reading)) is not None]
        targets = _numbered(reading for reading, _ in distant)
        before = self._graph.ancestors(targets) if targets else []
        for reading, reader in distant:
            if before[reader] >> targets[reading.target] & 1:
                continue
            read, step = self._graph.steps[reading.target].id, self._graph.steps[reader].id
            self._report(reading.text, f"steps.{read}", finding="not_surely_before", read=read, step=quoted(step))

    def _needs_proof(self, reading: _Reading) -> int | None:
        """The reader, unless the order is plain: the output comes last, dependencies first; nothing is claimed in doubt."""
        reader = reading.text.reader
        if reader is None or reader in self._graph.unsure or reading.target in self._graph.dependencies[reader]:
            return None
        return reader

    def _check_skips(self, readings: list[_Reading]) -> None:
        """Report fields of outputs that are none when a step was skipped and its reader was not."""
        skippable = self._graph.skippable()
        doubtful = [reading for reading in readings if skippable[reading.target] and _reads_blindly(reading)]
        targets = _numbered(doubtful)
        passed = self._graph.passes_skip(targets) if targets else []
        for reading in doubtful:
            reader = reading.text.reader
            if reader is not None and (reader in self._graph.unsure or passed[reader] >> targets[reading.target] & 1):
                continue
            read = self._graph.steps[reading.target].id
            self._report(reading.text, f"steps.{read}", finding="may_be_skipped", read=read)


def _is_too_large(source: str) -> bool:
    expressions, statements = source.count("{{"), source.count("{%") + source.count("{#")
    is_long = len(source) > _MAX_CHARACTERS and expressions + statements > 0
    return is_long or expressions > _MAX_MARKS or statements > _MAX_STATEMENTS


def _numbered(readings: Iterator[_Reading] | list[_Reading]) -> dict[int, int]:
    """The steps that are read, each with the number of its bit."""
    return {target: place for place, target in enumerate(dict.fromkeys(reading.target for reading in readings))}


def _reads_blindly(reading: _Reading) -> bool:
    """Whether it reads below the output and does not look first whether there is one."""
    return ".output." in reading.name and not _CAREFUL.search(reading.text.source)


def _declared(schema: dict[str, object] | None) -> list[str] | None:
    """The properties of an input schema, when it is plain that there are no others to know of."""
    declared = schema.get("properties") if schema else None
    if not schema or not is_mapping(declared) or not _COMPOSED.isdisjoint(schema):
        return None
    return list(declared)


def _place(source: str, dotted: str) -> tuple[int, int]:
    """Where a name stands in its text, and how long it is there; the whole text when it is spelled in some other way."""
    spelled = r"\s*\.\s*".join(re.escape(part) for part in dotted.split("."))
    match = re.search(rf"(?<![\w.]){spelled}(?!\w)", source)
    return (match.start(), match.end() - match.start()) if match is not None else (0, 0)


def _texts_of(workflow: Workflow) -> Iterator[_Text]:
    """Every expression and every text that may hold one, in the order of the steps."""
    for number, step in enumerate(workflow.steps):
        yield from _texts_of_step(step, number)
    yield from _texts(workflow.output, _Text(keys=("output",), source=""))


def _texts_of_step(step: Step, number: int) -> Iterator[_Text]:
    keys: Keys = ("steps", number)
    if step.when is not None:
        yield _Text(keys=(*keys, "when"), source=step.when, reader=number, is_condition=True)
    at = _Text(keys=(*keys, "config"), source="", reader=number, may_hold_secrets=step.type not in CONTROL_STEPS)
    if step.type in TYPES:
        rendered = {"params"} if step.type == "function" else step.config.keys() - UNRENDERED.get(step.type, frozenset())
        yield from _texts({key: value for key, value in step.config.items() if key in rendered}, at)
    yield from _texts(step.input_mapping, msgspec.structs.replace(at, keys=(*keys, "input_mapping")))
    yield from _texts(step.output_mapping, _Text(keys=(*keys, "output_mapping"), source="", reader=number, is_after=True))


def _texts(value: object, at: _Text) -> Iterator[_Text]:
    """Every text in a value that may hold an expression; ``at`` says whose value it is and where."""
    if isinstance(value, str):
        if "{" in value:
            yield msgspec.structs.replace(at, source=value)
    elif is_mapping(value):
        for key, item in value.items():
            yield from _texts(item, msgspec.structs.replace(at, keys=(*at.keys, key)))
    elif is_list(value):
        for index, item in enumerate(value):
            yield from _texts(item, msgspec.structs.replace(at, keys=(*at.keys, index)))

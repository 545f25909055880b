"""What expressions and templates read, and whether it will surely be there: every text parsed, every name resolved.

A step may be read only by steps that surely come after it. Severity follows certainty: what must fail is an error, what may is a
warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from taskengine.define.assigned import Assigned
from taskengine.define.finding import Aim, Problem, Problems, Spot
from taskengine.define.given import is_list, is_mapping
from taskengine.define.graph import Graph
from taskengine.define.phrase import listed, nearest, quoted
from taskengine.define.scopes import Scope
from taskengine.define.texts import Text, is_template, texts, texts_of
from taskengine.errors import ExpressionError, LimitError
from taskengine.expr import expression, template
from taskengine.model.workflow import Success, Workflow

__all__ = ["check_references"]

_ORDER: Final = ("input", "variables", "steps", "execution", "item", "index", "output", "children", "event")
# Names that only some places know → which.
_ELSEWHERE: Final = {
    **dict.fromkeys(("item", "index"), "only steps inside a map or a loop have it"),
    "children": "only success: {when: …} has it",
    "event": "only the filter of a wait step has it",
}
_COUNTS: Final = ("total", "completed", "failed", "cancelled", "skipped", "results")  # fields of `children`
_MEANT_COUNT: Final = {
    **dict.fromkeys(("failure", "failures", "error", "errors"), "failed"),
    **dict.fromkeys(("success", "successes", "succeeded", "done"), "completed"),
    **dict.fromkeys(("all", "count", "length", "size"), "total"),
    **dict.fromkeys(("output", "outputs"), "results"),
}
_STEP_FIELDS: Final = ("output", "status", "error")
_MAX_CHARACTERS: Final = 65_536  # of a text that holds expressions
_MAX_MARKS: Final = 1_000  # that begin an expression in one text
_MAX_STATEMENTS: Final = 100  # that begin a statement or comment if it is closed: each is looked up to the end of the text
# Words with which an expression takes care of a missing output itself.
_CAREFUL: Final = re.compile(r"\b(?:if|default|is|or|and|none|status)\b")
_CAREFUL_OF_FAILURE: Final = re.compile(r"\b(?:if|default|defined|undefined|status|error)\b")
_CAREFUL_OF_INPUT: Final = re.compile(r"\b(?:if|default|defined|undefined)\b")
# Keywords of JSON Schema that may declare properties elsewhere than under `properties`.
_COMPOSED: Final = frozenset(
    {"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "then", "else", "not", "dependentSchemas", "patternProperties"}
)


class _Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A text that reads a step. ``reader`` is who reads it in the graph of that step; none comes after all of them."""

    text: Text
    name: str  # dotted, as `steps.load.output.rows`
    graph: Graph
    reader: int | None
    target: int


def check_references(workflow: Workflow, scopes: Sequence[Scope], *, problems: Problems) -> None:
    """Parse every expression and template of the workflow and judge the names in it."""
    _References(workflow, scopes, problems=problems).check()


class _References:
    """One pass over the texts of one workflow."""

    def __init__(self, workflow: Workflow, scopes: Sequence[Scope], *, problems: Problems) -> None:
        self._workflow = workflow
        self._scopes = scopes
        self._problems = problems
        self._doubts = scopes[0].graph.doubts
        self._assigned = Assigned(scopes)
        self._of_assigned: list[tuple[Text, str]] = []  # texts that read a variable which only steps make
        self._variables = [*workflow.variables, *self._assigned]
        self._declared = _declared(workflow.input_schema)
        self._read: set[str] = set()  # variables; an empty name for all of them

    def check(self) -> None:
        readings: list[_Reading] = []
        for text in texts_of(self._workflow, self._scopes):
            if self._problems.is_full:
                return
            for name in self._names(text):
                reading = self._resolve(name, text)
                if reading is not None:
                    readings.append(reading)
        for text in texts(self._workflow.variables, Text(keys=("variables",), scope=self._scopes[0])):
            if is_template(text.source):
                advice = "put the template where the variable is used"
                Spot(self._problems, text.keys).report("template_not_rendered", where="variables", advice=advice)
        for graph, of_it in _by_graph(readings):
            self._check_order(graph, of_it)
            self._check_skips(graph, of_it)
            self._check_cases(graph, of_it)
            self._check_failures(graph, of_it)
        for text, name, setter in self._assigned.unsure(self._of_assigned):
            self._report(text, f"variables.{name}", finding="variable_may_be_unset", variable=name, setter=quoted(setter))
        if "" not in self._read and "variables" not in self._doubts.unread:
            self._check_unread()

    def _check_unread(self) -> None:
        """Report new variables that no expression reads, and whose name is like that of a declared one."""
        for keys, name, step_id in self._assigned.places():
            meant = "" if name in self._read or name in self._workflow.variables else nearest(name, list(self._workflow.variables))
            if meant:
                at = Spot(self._problems, keys)
                advice = f"did you mean {quoted(meant)}?"
                at.report("variable_nobody_reads", aim=Aim.KEY, variable=name, step=quoted(step_id), advice=advice)

    def _names(self, text: Text) -> list[str]:
        """The names that a text reads; none after reporting why it cannot be parsed."""
        if not text.is_condition and _is_too_large(text.source):
            at = Spot(self._problems, text.keys)
            at.report("template_too_large", characters=_MAX_CHARACTERS, marks=_MAX_MARKS)
            return []
        extra = tuple(sorted(text.extra | {"children"}))  # which is refused below, with a better hint
        try:
            if text.is_condition:
                return sorted(expression(text.source, extra_roots=extra).names)
            return sorted(template(text.source, extra_roots=extra).names)
        except (ExpressionError, LimitError) as error:
            offset = error.facts.get("offset")
            place, length = (offset, 1) if isinstance(offset, int) else (0, 0)
            at = Spot(self._problems, text.keys)
            at.report("expression_refused", problem=error.message, advice=error.hint, said=error.name, offset=place, length=length)
            return []

    # ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _resolve(self, name: str, text: Text) -> _Reading | None:
        """Judge one name; what it reads, if it reads a step that exists."""
        root, _, rest = name.partition(".")
        first = rest.partition(".")[0]
        if root == "secrets":
            self._check_secret(name, text)
        elif root not in text.roots:
            self._refuse(root, text)
        elif text.is_first and root in {"output", "steps"} and _is_blind(name, text):
            self._report(text, name, finding="none_at_first", read=_whole(name))
        if root == "variables":
            self._read.add(first)
        if root not in text.roots or not first:
            return None  # or all of it, or a key that is only known later
        if root == "steps":
            return self._step(name, text)
        if root == "input":
            self._check_input(first, text)
        elif root == "variables":
            self._check_variable(first, text)
        elif root == "children" and first not in _COUNTS:
            meant = _MEANT_COUNT.get(first) or nearest(first, _COUNTS)
            advice = f"did you mean children.{meant}?" if meant else f"it has {', '.join(_COUNTS)}"
            self._report(text, f"children.{first}", finding="unknown_count", field=first, advice=advice)
        return None

    def _refuse(self, root: str, text: Text) -> None:
        """Report a name that is not known at this place."""
        advice = _ELSEWHERE.get(root) or f"use {listed([one for one in _ORDER if one in text.roots])}"
        if root == "item" and text.scope.iteration is not None:
            advice = f"{quoted(text.scope.iteration.id)}, the nearest loop around, goes through no items"
        self._report(text, root, finding="name_not_available", root=quoted(root), advice=advice)

    def _step(self, name: str, text: Text) -> _Reading | None:
        _, step_id, *fields = name.split(".")
        graph, reader = text.scope.graph, text.reader
        if step_id not in graph.numbers:
            around = ((scope.graph, number) for scope, number in text.scope.around() if step_id in scope.graph.numbers)
            found = next(around, None)
            if found is None:
                self._miss(step_id, text)
                return None
            graph, reader = found
        if fields and fields[0] not in _STEP_FIELDS:
            advice = f"did you mean steps.{step_id}.output.{fields[0]}?"
            spelled = f"steps.{step_id}.{fields[0]}"
            self._report(text, spelled, finding="unknown_step_field", advice=advice, read=step_id, field=fields[0])
        target = graph.numbers[step_id]
        if text.is_undoing and graph is text.scope.graph and target == reader:
            return None
        return _Reading(text=text, name=name, graph=graph, reader=reader, target=target)

    def _miss(self, step_id: str, text: Text) -> None:
        """Report a step that cannot be seen from here, or that nobody has."""
        place, container = text.scope.whereabouts(step_id)
        if place:
            seen = text.scope.seen_container(step_id)
            advice = (
                f"read steps.{seen}.output"
                if seen
                else "steps of other branches and cases are not seen; let a step before both give it"
            )
            facts = {"read": quoted(step_id), "container": quoted(container), "advice": advice}
            self._report(text, f"steps.{step_id}", finding="inner_step", **facts)
        elif not self._doubts.nameless and "steps" not in self._doubts.unread and not self._doubts.vague:
            names = text.scope.graph.names
            note = f"known steps: {listed(names)}"
            self._report(
                text, f"steps.{step_id}", finding="unknown_step", word=step_id, known=names, note=note, read=quoted(step_id)
            )

    def _check_secret(self, name: str, text: Text) -> None:
        """A secret is put into a text as it is, after rendering, and only where a step's work begins."""
        if not text.may_hold_secrets:
            self._report(text, name, finding="secret_exposed")
        elif name.count(".") != 1 or name in template(text.source).computed_names:
            self._report(text, name, finding="secret_computed", secret=name if "." in name else "secrets.name")

    def _check_variable(self, name: str, text: Text) -> None:
        if name in self._workflow.variables or "variables" in self._doubts.unread:
            return
        if name in self._assigned and not text.is_at_start:
            self._of_assigned.append((text, name))
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

    def _check_input(self, name: str, text: Text) -> None:
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

    def _check_optional(self, name: str, text: Text) -> None:
        """Report a condition that reads what the input may lack, and does not look first whether it is there."""
        if not text.is_condition or text.reader is None or _CAREFUL_OF_INPUT.search(text.source):
            return
        schema = self._workflow.input_schema or {}
        required, declared = schema.get("required"), schema.get("properties", {}).get(name)
        is_filled = is_mapping(declared) and "default" in declared
        if not is_filled and (not is_list(required) or name not in required):
            step = quoted(text.scope.graph.steps[text.reader].id)
            self._report(text, f"input.{name}", finding="optional_input", step=step, property=name)

    def _report(
        self,
        text: Text,
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

    def _check_order(self, graph: Graph, readings: list[_Reading]) -> None:
        """Report steps that are read by steps they do not surely come before."""
        distant = [(reading, reader) for reading in readings if (reader := _needs_proof(reading)) is not None]
        targets = _numbered(reading for reading, _ in distant)
        before = graph.ancestors(targets) if targets else []
        for reading, reader in distant:
            if before[reader] >> targets[reading.target] & 1:
                continue
            read, step = graph.steps[reading.target].id, graph.steps[reader].id
            self._report(reading.text, f"steps.{read}", finding="not_surely_before", read=read, step=quoted(step))

    def _check_skips(self, graph: Graph, readings: list[_Reading]) -> None:
        """Report fields of outputs that are none when a step was skipped and its reader was not."""
        skippable = graph.skippable()
        doubtful = [reading for reading in readings if skippable[reading.target] and _reads_blindly(reading)]
        targets = _numbered(doubtful)
        passed = graph.passes_skip(targets) if targets else []
        for reading in doubtful:
            reader = reading.reader
            if reader is not None and (reader in graph.unsure or passed[reader] >> targets[reading.target] & 1):
                continue
            read = graph.steps[reading.target].id
            self._report(reading.text, f"steps.{read}", finding="may_be_skipped", read=read)

    def _check_cases(self, graph: Graph, readings: list[_Reading]) -> None:
        """Report fields of what a condition gives that has no `else`: it is none when no case holds."""
        for reading in readings:
            step = graph.steps[reading.target]
            is_whole = step.type != "condition" or not step.blocks or step.blocks[-1].when is None
            if not is_whole and not step.output_mapping and _reads_blindly(reading):
                self._report(reading.text, f"steps.{step.id}", finding="no_case_may_hold", read=step.id)

    def _check_failures(self, graph: Graph, readings: list[_Reading]) -> None:
        """Report outputs that are not there when the step has failed, read by what goes on all the same."""
        has_rule = graph is self._scopes[0].graph and _is_lenient(self._workflow.success)
        forgiven = graph.forgiven()
        doubtful = [one for one in readings if (has_rule or forgiven[one.target]) and _relies_on_output(one)]
        targets = _numbered(doubtful)
        needed = graph.needs_success(targets) if targets else []
        for reading in doubtful:
            reader, target = reading.reader, graph.steps[reading.target]
            if reader is not None and (reader in graph.unsure or needed[reader] >> targets[reading.target] & 1):
                continue
            if target.type != "noop":
                self._report(reading.text, f"steps.{target.id}", finding="may_have_failed", read=target.id)


def _is_lenient(rule: Success | None) -> bool:
    """Whether the execution may complete although a step has failed."""
    return rule is not None and not (rule.at_least is None and rule.percent is None and rule.when is None)


def _relies_on_output(reading: _Reading) -> bool:
    """Whether it reads an output and does not look first how the step ended."""
    is_own = reading.text.is_undoing and reading.reader == reading.target
    return f"{reading.name}.".split(".")[2] == "output" and not is_own and not _CAREFUL_OF_FAILURE.search(reading.text.source)


def _needs_proof(reading: _Reading) -> int | None:
    """The reader, unless the order is plain: the output comes last, dependencies first; nothing is claimed in doubt."""
    reader, graph = reading.reader, reading.graph
    if reader is None or reader in graph.unsure or reading.target in graph.dependencies[reader]:
        return None
    return reader


def _by_graph(readings: list[_Reading]) -> list[tuple[Graph, list[_Reading]]]:
    """The readings of each graph, in the order of their first one."""
    found: dict[int, tuple[Graph, list[_Reading]]] = {}
    for reading in readings:
        found.setdefault(id(reading.graph), (reading.graph, []))[1].append(reading)
    return list(found.values())


def _is_blind(name: str, text: Text) -> bool:
    """Whether it reads below an output and does not look first whether there is one."""
    return (".output." in name or name.startswith("output.")) and not _CAREFUL.search(text.source)


def _whole(name: str) -> str:
    """The output that a name reads something of."""
    before, _, _ = name.partition("output.")
    return f"{before}output"


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

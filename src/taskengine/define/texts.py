"""Every text of a workflow that may hold expressions, with what is known where it stands. Nothing is parsed here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import msgspec

from taskengine.define.given import Keys, is_list, is_mapping
from taskengine.define.keys import CONFIG
from taskengine.define.scopes import Scope
from taskengine.model.workflow import CONTROL_STEPS, UNRENDERED, Step, Success, Workflow

__all__ = ["Text", "has_texts", "is_template", "texts", "texts_of"]

_HERE: Final = frozenset({"input", "variables", "steps", "execution"})
_AT_START: Final = frozenset({"input", "variables"})
_NOTHING: Final = frozenset[str]()
# What is evaluated later than a step's config is rendered: (type, key) → the names it knows besides.
_CONDITIONS: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    ("loop", "while"): frozenset({"index", "output"}),
    ("loop", "until"): frozenset({"index", "output"}),
    ("wait", "filter"): frozenset({"event"}),
}


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """An expression, or a text that may hold some. Its names are those of its block, and those that its place adds."""

    keys: Keys
    scope: Scope
    source: str = ""
    reader: int | None = None  # the step of the block that reads; none is what comes after all of them
    extra: frozenset[str] = _NOTHING  # names that this place knows besides
    is_condition: bool = False
    is_first: bool = False  # evaluated also before anything of the block has run
    is_undoing: bool = False  # evaluated when the reader is undone, which has completed
    may_hold_secrets: bool = False  # rendered for a step's work
    is_at_start: bool = False  # evaluated when the execution begins

    @property
    def roots(self) -> frozenset[str]:
        """The names that are known here."""
        if self.is_at_start:
            return _AT_START
        around = self.scope.iteration
        if around is None:
            return _HERE | self.extra
        has_items = around.type == "map" or around.config.get("items") is not None
        return _HERE | self.extra | ({"item", "index"} if has_items else {"index"})


def is_template(value: object) -> bool:
    """Whether the value is only known when the step starts."""
    return isinstance(value, str) and "{{" in value


def has_texts(workflow: Workflow, scopes: Sequence[Scope]) -> bool:
    """Whether there is any, in the variables too, where none may be."""
    of_variables = texts(workflow.variables, Text(keys=(), scope=scopes[0]))
    return next(chain(texts_of(workflow, scopes), of_variables), None) is not None


def texts_of(workflow: Workflow, scopes: Sequence[Scope]) -> Iterator[Text]:
    """Every expression and every text that may hold one, block by block, in the order of the steps."""
    for scope in scopes:
        if scope.outer is not None:
            yield from _texts_of_block(scope)
        for number, step in enumerate(scope.graph.steps):
            yield from _texts_of_step(step, Text(keys=(*scope.graph.keys, number), scope=scope, reader=number))
    root = scopes[0]
    yield from texts(workflow.output, Text(keys=("output",), scope=root))
    yield from texts(workflow.business_key, Text(keys=("business_key",), scope=root, is_at_start=True))
    yield from _texts_of_rule(workflow.success, Text(keys=("success",), scope=root))


def texts(value: object, at: Text) -> Iterator[Text]:
    """Every text in a value that may hold an expression; ``at`` says whose value it is and where."""
    if isinstance(value, str):
        if "{" in value:
            yield msgspec.structs.replace(at, source=value)
    elif is_mapping(value):
        for key, item in value.items():
            yield from texts(item, _below(at, key))
    elif is_list(value):
        for index, item in enumerate(value):
            yield from texts(item, _below(at, index))


def _texts_of_block(scope: Scope) -> Iterator[Text]:
    """What a block gives, and when its container runs it."""
    assert scope.outer is not None
    container, block = scope.outer.graph.steps[scope.number], scope.block
    after = Text(keys=scope.keys, scope=scope)
    before = Text(keys=scope.keys, scope=scope.outer, reader=scope.number)
    if not isinstance(block, Workflow) and block.when is not None and container.type == "condition":
        yield msgspec.structs.replace(_below(before, "when"), source=block.when, is_condition=True)
    if container.type == "loop":
        for key in ("while", "until"):
            at = msgspec.structs.replace(_below(after, "config", key), is_first=key == "while")
            yield from _conditions(container, key, at=at)
    yield from texts(block.output, _below(after, "output"))


def _texts_of_step(step: Step, at: Text) -> Iterator[Text]:
    if step.when is not None:
        yield msgspec.structs.replace(_below(at, "when"), source=step.when, is_condition=True)
    yield from _texts_of_work(step, at)
    yield from _texts_of_rule(step.success, _below(at, "success"))
    if step.compensate is not None:
        yield from _texts_of_work(step.compensate, msgspec.structs.replace(_below(at, "compensate"), is_undoing=True))


def _texts_of_work(step: Step, at: Text) -> Iterator[Text]:
    inputs = msgspec.structs.replace(at, may_hold_secrets=step.type not in CONTROL_STEPS)
    if step.type in CONFIG:
        yield from texts(_rendered(step), _below(inputs, "config"))
    if step.type == "wait":
        yield from _conditions(step, "filter", at=_below(at, "config", "filter"))
    yield from texts(step.input_mapping, _below(inputs, "input_mapping"))
    after = msgspec.structs.replace(_below(at, "output_mapping"), extra=frozenset({"output"}))
    yield from texts(step.output_mapping, after)


def _rendered(step: Step) -> dict[str, Any]:
    """The part of a config that is rendered before the step begins."""
    rendered = {"params"} if step.type == "function" else step.config.keys() - UNRENDERED.get(step.type, frozenset())
    return {key: value for key, value in step.config.items() if key in rendered}


def _conditions(step: Step, key: str, *, at: Text) -> Iterator[Text]:
    source = step.config.get(key)
    if isinstance(source, str):
        yield msgspec.structs.replace(at, source=source, is_condition=True, extra=_CONDITIONS[step.type, key])


def _texts_of_rule(rule: Success | None, at: Text) -> Iterator[Text]:
    if rule is not None and rule.when is not None:
        extra = frozenset({"children"})
        yield msgspec.structs.replace(_below(at, "when"), source=rule.when, is_condition=True, extra=extra)


def _below(at: Text, *keys: str | int) -> Text:
    return msgspec.structs.replace(at, keys=(*at.keys, *keys))

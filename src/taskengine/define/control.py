"""What the steps that the engine performs itself want in their ``config``: those that hold others, and those that do no work.

Plain data with a path, as in `config`. What a template gives is only known when the step starts; conditions are for `references`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from taskengine.define.finding import Aim, Spot
from taskengine.define.given import is_list, is_mapping
from taskengine.define.keys import ALIASES, CONFIG, LOOPS
from taskengine.define.phrase import described, nearest, quoted
from taskengine.define.rules import BATCH, CONCURRENCY, ITERATIONS, id_fault, slug
from taskengine.define.texts import is_template
from taskengine.define.values import (
    between,
    boolean,
    duration,
    mapping,
    text,
    texts,
    wrong_type,
)
from taskengine.define.wait import check_expression, check_signal
from taskengine.model.workflow import UNRENDERED

__all__ = ["CONTROL", "OPERATIONS", "check_control"]

Check: TypeAlias = Callable[[Any, Spot], object]
Whole: TypeAlias = Callable[[dict[str, Any], Spot], None]

OPERATIONS: Final = ("collect", "count", "sum", "min", "max", "average", "first", "last", "concat", "merge")
_RECEIVERS: Final = ("execution", "business_key")
_ESCALATION: Final = ("after", "to")
_ESCALATION_EXAMPLE: Final = "for example escalation: {after: 1d, to: [bob]}"


def check_control(kind: str, config: dict[str, Any], *, at: Spot) -> None:
    """Report what is wrong with the config of a step of this type."""
    values, check_whole = CONTROL[kind]
    check_whole(config, at)
    unrendered = UNRENDERED.get(kind, frozenset())
    for key, check_value in values.items():
        value = config.get(key)
        if value is not None and (key in unrendered or not is_template(value)):
            check_value(value, at.below(key))


def _items(value: object, at: Spot) -> None:
    if not is_list(value):
        advice = 'for example items: "{{ steps.list.output }}"'
        wrong_type(value, at, expected="a list, or a template that gives one", advice=advice)


def _operation(value: object, at: Spot) -> None:
    note = f"one of {', '.join(OPERATIONS)}"
    if not isinstance(value, str):
        wrong_type(value, at, expected=note)
    elif value not in OPERATIONS:
        meant = _MEANT_OPERATION.get(value.casefold(), "")
        word = "" if meant else value
        advice = f"did you mean {quoted(meant)}?" if meant else ""
        at.report("unknown_choice", what="operation", found=quoted(value), note=note, word=word, known=OPERATIONS, advice=advice)


def _named(expected: str) -> Check:
    def check(value: object, at: Spot) -> None:
        if not isinstance(value, str):
            text(value, at)
        elif not value.strip() or not value.isprintable():
            at.report("wrong_type", expected=expected, found=described(value), advice="")

    return check


def _form(value: object, at: Spot) -> None:
    if not is_mapping(value):
        mapping(value, at)
    elif value:
        from taskengine.define.schema import check_schema  # noqa: PLC0415 -- few approvals have a form

        check_schema(value, at)


def _escalation(value: object, at: Spot) -> None:
    if not is_mapping(value):
        wrong_type(value, at, expected="a mapping with after and to", advice=_ESCALATION_EXAMPLE)
        return
    for key, item in value.items():
        if key not in _ESCALATION:
            meant = nearest(key, _ESCALATION)
            advice = f"did you mean {quoted(meant)}?" if meant else ""
            note = f"known keys: {', '.join(_ESCALATION)}"
            at.below(key).report("unknown_key", aim=Aim.KEY, key=quoted(key), where="escalation", advice=advice, note=note)
        elif item is not None and not is_template(item):
            (duration if key == "after" else texts)(item, at.below(key))
    for key in _ESCALATION:
        if value.get(key) is None:
            at.below(key).report("missing_key", where="escalation", key=quoted(key), advice=_ESCALATION_EXAMPLE)


# ── the whole of a config ────────────────────────────────────────────────────────────────────────────────────────────


def _needs(kind: str, key: str, *, example: str) -> Whole:
    """What reports a config without this key."""

    def check(config: dict[str, Any], at: Spot) -> None:
        if config.get(key) is None and key not in _meant(kind, config):
            article = "an" if kind[0] in "aeiou" else "a"
            where = f"config of {article} {kind} step"
            at.below(key).report("missing_key", where=where, key=quoted(key), advice=f"for example config: {example}")

    return check


def _meant(kind: str, config: dict[str, Any]) -> set[str]:
    """The keys that those which are unknown probably are: nothing is said about their absence."""
    known, aliases = CONFIG[kind], ALIASES.get(kind, {})
    return {aliases.get(key.casefold(), "") or nearest(key, known) for key in config if key not in known}


def _check_loop(config: dict[str, Any], at: Spot) -> None:
    ways = [way for way in LOOPS if way in config]
    if not ways and not _meant("loop", config).isdisjoint(LOOPS):
        return  # the one that was meant is named already
    if len(ways) != 1:
        advice = 'for example config: {until: "steps.ask.output.done", max_iterations: 50}'
        at.report("one_way_to_loop", found=" and ".join(ways) or "none of them", advice=advice)
        return
    key, other = ("max_iterations", '"while" or "until"') if ways == ["items"] else ("max_concurrency", '"items"')
    if config.get(key) is not None:
        at.below(key).report("key_needs_other", aim=Aim.KEY, key=quoted(key), other=other)


def _check_signal(config: dict[str, Any], at: Spot) -> None:
    _SIGNAL_NEEDED(config, at)
    receivers = [key for key in _RECEIVERS if key in config]
    if len(receivers) > 1 or (not receivers and _meant("signal", config).isdisjoint(_RECEIVERS)):
        found = " and ".join(receivers) or "neither"
        at.report("one_receiver", found=found, advice='for example execution: "{{ input.execution_id }}"')


def _check_aggregate(config: dict[str, Any], at: Spot) -> None:
    """Report the first of the items that its operation cannot take, where they stand in the document as they are."""
    _ITEMS_NEEDED(config, at)
    items, operation = config.get("items"), config.get("operation")
    kinds = _TAKEN.get(operation) if isinstance(operation, str) else None
    if kinds is None or not is_list(items) or config.get("field") is not None:
        return
    takes, fits, advice = kinds
    for place, item in enumerate(items):
        if item is not None and not is_template(item) and not fits(item):
            spot = at.below("items", place)
            spot.report(
                "items_of_other_type",
                operation=str(operation),
                takes=takes,
                place=place,
                found=described(item),
                advice="name the field that holds the numbers: field: amount"
                if is_mapping(item) and fits is _is_number
                else advice,
            )
            return


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_set(config: dict[str, Any], at: Spot) -> None:
    if not config:
        at.report("missing_key", where="config of a set step", key="of a variable", advice="for example config: {count: 1}")
    for name in config:
        fault = id_fault(name)
        if fault:
            meant = slug(name)
            advice = f"write {meant}" if meant else ""
            at.below(name).report("bad_variable_name", aim=Aim.KEY, found=quoted(name), reason=fault, advice=advice)


def _check_nothing(config: dict[str, Any], at: Spot) -> None:
    """Nothing to say about the whole."""


_ITEMS_NEEDED: Final = _needs("aggregate", "items", example='{items: "{{ steps.each.output }}", operation: sum, field: amount}')
_NUMBERS: Final = ("numbers", _is_number, "leave the quotes out, or collect the items")
# Operation → what it takes, whether a value is that, and what to do about another.
_TAKEN: Final[Mapping[str, tuple[str, Callable[[object], bool], str]]] = {
    **dict.fromkeys(("sum", "min", "max", "average"), _NUMBERS),
    "concat": ("lists", is_list, "collect makes a list of single values"),
    "merge": ("mappings", is_mapping, "collect makes a list of single values"),
}
_SIGNAL_NEEDED: Final = _needs("signal", "signal", example='{signal: done, execution: "{{ input.execution_id }}"}')
_MEANT_OPERATION: Final = {
    **dict.fromkeys(("avg", "mean"), "average"),
    **dict.fromkeys(("len", "length", "size"), "count"),
    **dict.fromkeys(("list", "append"), "collect"),
    **dict.fromkeys(("join", "concatenate", "flatten"), "concat"),
    **dict.fromkeys(("minimum", "least"), "min"),
    **dict.fromkeys(("maximum", "most"), "max"),
    **dict.fromkeys(("add", "total"), "sum"),
}
# Type → what checks each key of its config, and what checks the whole.
CONTROL: Final[Mapping[str, tuple[Mapping[str, Check], Whole]]] = {
    "condition": ({}, _check_nothing),
    "parallel": ({"max_concurrency": between("max_concurrency", CONCURRENCY)}, _check_nothing),
    "map": (
        {
            "items": _items,
            "max_concurrency": between("max_concurrency", CONCURRENCY),
            "batch_size": between("batch_size", BATCH),
        },
        _needs("map", "items", example='{items: "{{ steps.list.output }}"}'),
    ),
    "loop": (
        {
            "items": _items,
            "while": check_expression,
            "until": check_expression,
            "max_iterations": between("max_iterations", ITERATIONS),
            "max_concurrency": between("max_concurrency", CONCURRENCY),
        },
        _check_loop,
    ),
    "workflow": (
        {"workflow": _named("the name of a workflow"), "version": text, "detach": boolean},
        _needs("workflow", "workflow", example="{workflow: daily-report}"),
    ),
    "approval": (
        {"approvers": texts, "message": text, "form": _form, "deadline": duration, "escalation": _escalation},
        _check_nothing,
    ),
    "set": ({}, _check_set),
    "signal": (
        {
            "signal": check_signal,
            "execution": _named("the id of an execution"),
            "business_key": _named("a business key"),
            "data": lambda _value, _at: None,
        },
        _check_signal,
    ),
    "fail": (
        {"type": _named("the name of an error"), "message": text},
        _needs("fail", "message", example='{type: OutOfStock, message: "nothing left of {{ input.article }}"}'),
    ),
    "aggregate": (
        {"items": _items, "operation": _operation, "field": _named("a field"), "group_by": _named("a field")},
        _check_aggregate,
    ),
}

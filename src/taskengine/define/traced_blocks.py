"""Steps that hold blocks, added by a function with ``@workflow``: choices, branches, maps and loops.

What such a step does is a function: it is called once, while the graph is declared, and the tasks that it calls are the block's
steps. What it returns is the block's output; a block whose function returns nothing gives what its last steps gave. The words are
those of the builder, then those of every step, as in ``traced_steps``; ``success`` may be a function that makes a condition, too:
``success=lambda children: children.failed < 3``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, Unpack, cast

import msgspec

from taskengine.define.block_builder import ConditionBuilder, LoopBuilder, MapBuilder, ParallelBuilder, When
from taskengine.define.bodies import NOTHING, called
from taskengine.define.iterated import settled
from taskengine.define.options import StepOptions, success_of
from taskengine.define.phrase import described, quoted
from taskengine.define.placeholder import Placeholder, condition_of, written
from taskengine.define.trace import Trace
from taskengine.define.traced_steps import opened
from taskengine.errors import DefinitionError
from taskengine.model.workflow import Block, Step, Success

__all__ = ["Case", "case", "condition", "loop", "map_over", "parallel"]

Body: TypeAlias = Callable[..., object]
Rule: TypeAlias = str | Mapping[str, Any] | Success | Callable[..., object]
Ends: TypeAlias = When | Callable[..., object]


class Case(NamedTuple):
    """A case of a ``condition``: when it is taken, what it does then, and its name."""

    when: When
    then: Body
    name: str = ""


def case(when: When, then: Body, *, name: str = "") -> Case:
    """A case with a name; ``(when, then)`` is one without."""
    return Case(when, then, name)


def condition(
    *cases: Case | tuple[When, Body],
    otherwise: Body | None = None,
    otherwise_name: str = "",
    success: Rule | None = None,
    **options: Unpack[StepOptions],
) -> Any:
    """Add a choice: ``condition((rows.count > 0, lambda: load(rows)), otherwise=complain)``. The first case that holds is taken.

    Gives what the taken case gave.
    """
    trace, step, said = opened("condition", ConditionBuilder("condition"), options=options)
    told = [_case(one, place, of=step.id) for place, one in enumerate(cases)]
    blocks = [
        _block(
            trace,
            one.then,
            what=f"case {place} of condition {quoted(step.id)}",
            name=one.name,
            when=condition_of(one.when, what="case"),
        )
        for place, one in enumerate(told)
    ]
    if otherwise is not None:
        blocks.append(_block(trace, otherwise, what=f"otherwise of condition {quoted(step.id)}", name=otherwise_name))
    return _closed(trace, step, blocks=blocks, options=options, said=said, success=success)


def parallel(
    branches: Mapping[str, Body] | Sequence[Body] | None = None,
    /,
    *,
    max_concurrency: int | None = None,
    success: Rule | None = None,
    **named: Any,
) -> Any:
    """Add blocks side by side: ``parallel(left=load, right=lambda: store(rows))``. Gives an object: what each branch gave.

    ``named`` are branches, if they are functions, and else what is said about every step; branches of other names are given as a
    mapping, those without names as a list.
    """
    inside = {name: body for name, body in named.items() if callable(body) and name not in StepOptions.__annotations__}
    options = {name: said for name, said in named.items() if name not in inside}
    builder = ParallelBuilder("parallel")
    if max_concurrency is not None:
        builder.with_config(max_concurrency=written(max_concurrency, what="max_concurrency"))
    trace, step, said = opened("parallel", builder, options=options)
    found = [*_branches(branches), *inside.items()]
    blocks = [
        _block(trace, body, what=f"branch {quoted(name) if name else place} of {quoted(step.id)}", name=name)
        for place, (name, body) in enumerate(found)
    ]
    return _closed(trace, step, blocks=blocks, options=options, said=said, success=success)


def map_over(
    items: Any,
    body: Body,
    *,
    max_concurrency: int | None = None,
    batch_size: int | None = None,
    success: Rule | None = None,
    **options: Unpack[StepOptions],
) -> Any:
    """Add a block for each of the items: ``map_over(order.lines, lambda line: ship(order.id, line), max_concurrency=5)``.

    The body gets the item, and under the name ``index`` its place. Gives the list of what each gave, in the order of the items.
    """
    builder = MapBuilder("map", items=items, max_concurrency=max_concurrency, batch_size=batch_size)
    trace, step, said = opened("map_over", builder, options=options, otherwise="map")
    inner = _repeated(trace, step, body=body, has_items=True)
    return _closed(trace, step, blocks=[inner], options=options, said=said, success=success)


def loop(
    body: Body,
    *,
    until: Ends | None = None,
    while_: Ends | None = None,
    items: Any = None,
    max_iterations: int | None = None,
    max_concurrency: int | None = None,
    success: Rule | None = None,
    **options: Unpack[StepOptions],
) -> Any:
    """Add a block that goes round and round: ``loop(ask, until=lambda answer: answer.done, max_iterations=50)``.

    It ends when ``until`` holds, when ``while_`` does not, or behind the last of the ``items``. Both are conditions, or functions
    that make one of what the last round gave; ``while_`` is asked before the first round too: that is ``None`` then. Under the name
    ``index`` they get how many rounds have ended, and the body gets which one it is.
    """
    builder = LoopBuilder("loop", items=items, max_iterations=max_iterations, max_concurrency=max_concurrency)
    trace, step, said = opened("loop", builder, options=options)
    asked = {key: one for key, one in (("until", until), ("while", while_)) if one is not None}
    inner = _repeated(trace, step, body=body, has_items=items is not None, ends=asked)
    ends = {key: inner.ends[key] for key in asked}
    step = msgspec.structs.replace(step, config={**ends, **step.config})
    return _closed(trace, step, blocks=[inner], options=options, said=said, success=success)


class _Inner(NamedTuple):
    """A block, how it was declared, and what ends a loop of it."""

    trace: Trace
    block: Block
    ends: Mapping[str, str] = {}


def _block(trace: Trace, body: Body, *, what: str, name: str = "", when: str | None = None) -> _Inner:
    inner = trace.inside()
    result = inner.declare(lambda: called(body, {}, what=what), what=what)
    _must_have_steps(inner, body, what=what)
    output = _output(inner, result, what=what)
    inner.reads(output=output)
    return _Inner(inner, Block(name=name, when=when, steps=inner.steps, output=output))


def _repeated(trace: Trace, step: Step, *, body: Body, has_items: bool, ends: Mapping[str, Ends] | None = None) -> _Inner:
    what = f"the body of {step.type} {quoted(step.id)}"
    inner = trace.inside(knows=("item", "index") if has_items else ("index",))
    gets = {name: inner.iterated(name) for name in inner.knows}
    first = gets["item"] if has_items else NOTHING
    result = inner.declare(lambda: called(body, gets, first=first, what=what), what=what)
    _must_have_steps(inner, body, what=what)
    output = _output(inner, result, what=what)
    conditions = {key: _end(inner, one, what=f"{key} of {step.type} {quoted(step.id)}") for key, one in (ends or {}).items()}
    inner.reads(output=output, conditions=conditions.values())
    block = settled(Block(steps=inner.steps, output=output), inner.body, name=lambda: inner.free_id("item"))
    return _Inner(inner, block, conditions)


def _end(inner: Trace, end: Ends, *, what: str) -> str:
    """The condition that ends a loop, or a function that makes it."""
    if isinstance(end, Placeholder) or not callable(end):
        return condition_of(end, what=what)
    count = len(inner.steps)
    gets = {"index": Placeholder("index"), "output": Placeholder("output")}
    found = inner.declare(lambda: called(end, gets, first=gets["output"], what=what), what=what)
    if len(inner.steps) != count:
        raise DefinitionError("wrong_type", f"{what} calls a task", hint="call it in the body, and let that return what it gave")
    return condition_of(found, what=what)


def _closed(
    trace: Trace, step: Step, *, blocks: Sequence[_Inner], options: Mapping[str, Any], said: frozenset[str], success: Rule | None
) -> Any:
    rule = None if success is None else _rule(success, of=step)
    step = msgspec.structs.replace(step, blocks=tuple(inner.block for inner in blocks), success=rule)
    return trace.add(step, after=options.get("after", ()), said=said, blocks=[inner.trace for inner in blocks])


def _rule(success: Rule, *, of: Step) -> Success:
    """The rule, or a function that makes the condition of it."""
    if isinstance(success, Placeholder) or not callable(success):
        return success_of(success)
    what = f"success of {of.type} {quoted(of.id)}"
    return Success(when=condition_of(called(success, {}, first=Placeholder("children"), what=what), what=what))


def _output(inner: Trace, result: object, *, what: str) -> Any:
    """What the block gives; nothing is said where that is what its only last step gave."""
    if isinstance(result, Placeholder):
        followed = {name for step in inner.steps for name in step.depends_on}
        last = [step.id for step in inner.steps if step.id not in followed]
        if [result.__expression__] == [f"steps.{name}.output" for name in last]:
            return None
    return written(result, what=f"what {what} returns")


def _must_have_steps(inner: Trace, body: Body, *, what: str) -> None:
    if inner.steps:
        return
    name = getattr(body, "__name__", "")
    advice = f"is {name}() a task? Put @task on it" if name.isidentifier() else "call a task in it"
    raise DefinitionError("empty_block", f"{what} calls no task", hint=f"{advice}; noop() does nothing on purpose")


def _case(one: object, place: int, *, of: str) -> Case:
    if isinstance(one, Case):
        return one
    found = _shown(one)
    if isinstance(one, tuple):
        parts = cast("tuple[Any, ...]", one)
        if len(parts) == len(("when", "then")):
            return Case(*parts)
        found = f"{len(parts)} values"
    hint = "condition((rows.count > 0, load), (rows.total > 9, store), otherwise=complain)"
    raise DefinitionError(
        "wrong_type", f"case {place} of condition {quoted(of)}: expected a condition and a function, found {found}", hint=hint
    )


def _branches(branches: object) -> list[tuple[str, Any]]:
    if branches is None:
        return []
    if isinstance(branches, Mapping):
        return [(str(name), body) for name, body in cast("Mapping[object, Any]", branches).items()]
    if isinstance(branches, list | tuple):
        return [("", body) for body in cast("Sequence[Any]", branches)]
    hint = 'parallel(left=load, right=store), parallel({"left": load}), parallel([load, store])'
    raise DefinitionError("wrong_type", f"parallel(): expected functions by name, found {_shown(branches)}", hint=hint)


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, Placeholder) else described(value)

"""The graph while a workflow function declares it: the steps so far, block by block, and what each depends on.

A step depends on what it reads and on what it is told to follow; one that holds blocks also on what is read inside of them. What is
read and surely succeeded before another dependency needs no edge of its own. Steps that set a variable and steps that read it keep
the order of the program, as far as that skips nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Final, cast

import msgspec

from taskengine.define.assembly import Defaults, bounded
from taskengine.define.declared import Declares
from taskengine.define.options import TaskOptions
from taskengine.define.phrase import described, listed, nearest, quoted
from taskengine.define.placeholder import Placeholder, iterated
from taskengine.define.rules import MAX_NESTING
from taskengine.define.task_builder import step_id_of
from taskengine.errors import DefinitionError, ExpressionError, LimitError
from taskengine.model.workflow import UNRENDERED, Join, OnError, Step

__all__ = ["Trace", "current", "declaring"]

_CURRENT: Final[ContextVar[Trace | None]] = ContextVar("taskengine_trace", default=None)
_EXTRA: Final = ("children", "event", "output")  # names that some texts know besides


def current() -> Trace | None:
    """The block that is being declared; none where functions just run."""
    return _CURRENT.get()


def declaring(word: str) -> Trace:
    """The block that is being declared. ``DefinitionError("not_declaring")``: ``word`` was called where none is."""
    trace = _CURRENT.get()
    if trace is None:
        hint = "call it in a function with @workflow, and give that to the engine: a step is performed by the engine alone"
        raise DefinitionError("not_declaring", f"{word}() adds a step, and no workflow is being declared here", hint=hint)
    return trace


class Trace:
    """One declaration: of a workflow, or of a block inside of it."""

    def __init__(
        self,
        *,
        defaults: Defaults = Defaults(),  # noqa: B008 -- frozen
        around: Trace | None = None,
        knows: Collection[str] = (),
    ) -> None:
        self.functions: dict[str, Callable[..., Any]] = {} if around is None else around.functions
        self.calls: list[Declares] = [] if around is None else around.calls
        self.defaults = defaults
        self.knows = knows  # what functions in here are given by name: item, index
        self.depth = 0  # steps around
        self.body = 0  # the number of the nearest body that is repeated
        self.outside: set[str] = set()  # the steps around that are read in here
        self.variables = _Variables()
        self._around: Trace | None = None
        self._ids: set[str] = set()  # of all blocks
        self._bodies = iter(range(1, 1_000_000))
        self._steps: dict[str, Step] = {}
        self._before: dict[str, frozenset[str]] = {}  # what has surely succeeded when the step has
        self._sure: set[str] = set()  # what is performed whenever the block is, and whose failure is the block's

    def inside(self, *, knows: Collection[str] | None = None) -> Trace:
        """A block in a step of this one. ``knows``: it is repeated, and its steps know these names."""
        if self.depth >= MAX_NESTING:  # said here as well: a body that calls itself has no end
            hint = "move the inner steps to a workflow of their own and call it; a body that calls itself has no end"
            raise DefinitionError("nested_too_deep", f"steps may be nested in at most {MAX_NESTING} others", hint=hint)
        inner = Trace(defaults=self.defaults, around=self, knows=self.knows if knows is None else knows)
        inner._around, inner._ids, inner._bodies = self, self._ids, self._bodies
        inner.depth = self.depth + 1
        inner.body = self.body if knows is None else next(self._bodies)
        return inner

    def apart(self) -> Trace:
        """A block that is none of the graph: for what undoes a step."""
        return Trace(defaults=self.defaults, around=self, knows=self.knows)

    def iterated(self, name: str) -> Placeholder:
        """The ``item`` or ``index`` of the nearest body that is repeated."""
        return iterated(name, self.body)

    def declare(self, call: Callable[[], object], *, what: str) -> object:
        """What the call gives; the steps that it adds are this block's."""
        token = _CURRENT.set(self)
        try:
            result = call()
        finally:
            _CURRENT.reset(token)
        if inspect.isawaitable(result):
            close = getattr(result, "close", None)
            if callable(close):
                close()
            hint = "write `def`, without await: tasks may be async, the graph is only declared"
            raise DefinitionError("async_graph", f"{what} is an async function", hint=hint)
        return result

    # ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def named(self, options: TaskOptions, *, otherwise: str) -> tuple[str, str]:
        """The id of a step to come, and the name that it shows beside it.

        What has no id of its own gets one after its name, with a number where that is taken anywhere in the workflow.
        """
        name = options.get("name", "")
        step_id = options.get("id", "")
        if not step_id:
            step_id = self.free_id(step_id_of(name or otherwise))
        elif step_id in self._steps:
            hint = "leave the id out to have them numbered"
            raise DefinitionError("duplicate_step_id", f"two steps have the id {quoted(step_id)}", hint=hint)
        self._ids.add(step_id)
        return step_id, name if name != step_id else ""

    def free_id(self, wanted: str) -> str:
        """The id, or with the next number behind it: ``fetch``, ``fetch_2``."""
        number, found = 1, wanted
        while found in self._ids:
            number += 1
            found = f"{wanted}_{number}"
        self._ids.add(found)
        return found

    def add(self, step: Step, *, after: object = (), said: Collection[str] = (), blocks: Sequence[Trace] = ()) -> Placeholder:
        """Add a step; gives the placeholder of its result. ``blocks``: what was declared inside of it."""
        names = _names_in(step)
        reads = {one for name in names if (one := _part(name, "steps"))}.union(*(block.outside for block in blocks))
        told = list(dict.fromkeys(self._followed(after, of=step.id)))
        touched = _Touched(step, names, inside=[block.variables for block in blocks])
        reads |= self.variables.before(touched, step, told=told)
        read = [name for name in self._steps if name in reads and name not in told]
        self.outside |= reads - self._steps.keys()
        if step.join is Join.ALL_SUCCESS:
            known = {*told, *read}
            read = [name for name in read if not any(name in self._before[other] for other in known if other != name)]
        depends_on = (*told, *read)
        self._steps[step.id] = bounded(msgspec.structs.replace(step, depends_on=depends_on), self.defaults, said=said)
        surely: frozenset[str] = frozenset()
        if step.join is Join.ALL_SUCCESS:
            surely = surely.union(depends_on, *(self._before[name] for name in depends_on))
        self._before[step.id] = surely
        if (
            step.when is None
            and step.on_error is OnError.FAIL
            and step.join is Join.ALL_SUCCESS
            and self._sure.issuperset(depends_on)
        ):
            self._sure.add(step.id)
        self.variables.note(touched, step, is_sure=step.id in self._sure)
        return Placeholder(f"steps.{step.id}.output")

    def depends_on(self, step_id: str) -> tuple[str, ...]:
        """What a step that was added depends on."""
        return self._steps[step_id].depends_on

    def sees(self, name: str) -> bool:
        """Whether a step so far has this id, here or in the blocks around."""
        return name in self._steps or (self._around is not None and self._around.sees(name))

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps so far."""
        return tuple(self._steps.values())

    def reads(self, *, output: object = None, conditions: Iterable[str] = ()) -> None:
        """Take note of what the block reads beside its steps: in its output, in the conditions of a loop."""
        names = _names_of_value(output).union(*(_names_of_condition(one) for one in conditions))
        self.outside |= {one for name in names if (one := _part(name, "steps"))} - self._steps.keys()
        self.variables.reads |= {one for name in names if (one := _part(name, "variables"))}

    def _followed(self, after: object, *, of: str) -> Iterable[str]:
        if isinstance(after, Placeholder):
            name = _part(after.__expression__, "steps")
            if not self.sees(name):
                message = f"step {quoted(of)} cannot come after {after!r}: it is no result of a step that is seen here"
                raise DefinitionError("unknown_dependency", message, hint="name a step of the same block, or of one around it")
            yield from self._here(name)
        elif isinstance(after, str):
            if not self.sees(after):
                meant = nearest(after, list(self._steps))
                hint = f"did you mean {quoted(meant)}?" if meant else f"steps so far: {listed(self._steps)}"
                raise DefinitionError("unknown_dependency", f"step {quoted(of)} cannot come after {quoted(after)}", hint=hint)
            yield from self._here(after)
        elif isinstance(after, list | tuple):
            for one in cast("list[object]", after):
                yield from self._followed(one, of=of)
        else:
            hint = "after=rows, after=[rows, days]"
            raise DefinitionError("wrong_type", f"after: expected results of tasks, found {described(after)}", hint=hint)

    def _here(self, name: str) -> Iterator[str]:
        """The step, if it is of this block; else the step around that holds this block follows it."""
        if name in self._steps:
            yield name
        else:
            self.outside.add(name)


class _Touched:
    """The variables that a step reads and sets, with what is inside of it."""

    def __init__(self, step: Step, names: Collection[str], *, inside: Sequence[_Variables]) -> None:
        self.reads = {one for name in names if (one := _part(name, "variables"))}.union(*(one.reads for one in inside))
        self.sets = set(step.config if step.type == "set" else ()).union(*(one.sets for one in inside))


class _Variables:
    """Who sets and reads the variables, as far as a block has been declared."""

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.sets: set[str] = set()
        self._setter: dict[str, str] = {}  # the last one that says no `when`
        self._doubtful: dict[str, str] = {}  # the last one that does
        self._readers: dict[str, list[str]] = {}  # since the last one

    def before(self, touched: _Touched, step: Step, *, told: Collection[str]) -> set[str]:
        """The steps before it that it has to follow. ``DefinitionError("unordered_variable")``: they may be skipped."""
        if step.join in {Join.ANY_SUCCESS, Join.ANY_FAILED}:
            return set()  # a further dependency would change when it starts
        names = touched.reads | touched.sets
        for name in sorted(names & self._doubtful.keys()):
            setter = self._doubtful[name]
            if setter not in told:
                message = f"step {quoted(step.id)} comes after {quoted(setter)}, which sets variables.{name} only at times"
                hint = 'condition((test, lambda: set_variables({"n": 1}))); or say after=, to be skipped with it'
                raise DefinitionError("unordered_variable", message, hint=hint)
        follows = {self._setter[name] for name in names if name in self._setter}
        return follows.union(*(self._readers.get(name, ()) for name in touched.sets))

    def note(self, touched: _Touched, step: Step, *, is_sure: bool) -> None:
        """Take note of a step that was added."""
        self.reads |= touched.reads
        self.sets |= touched.sets
        for name in touched.reads if is_sure else ():
            self._readers.setdefault(name, []).append(step.id)
        for name in touched.sets:
            (self._setter if step.when is None else self._doubtful)[name] = step.id
            if step.when is None:
                self._readers[name] = []
                self._doubtful.pop(name, None)


def _part(name: str, root: str) -> str:
    """The second part of a dotted name with this root."""
    first, _, rest = name.partition(".")
    return rest.partition(".")[0].partition("[")[0] if first == root else ""


def _names_in(step: Step) -> set[str]:
    """The names that the texts of a step read; of its blocks only the conditions of cases, which are judged where it stands."""
    conditions = [step.when, None if step.success is None else step.success.when, *(block.when for block in step.blocks)]
    values: list[object] = []
    for work in (step, step.compensate):
        if work is not None:
            late = UNRENDERED.get(work.type, frozenset())
            values += [value for key, value in work.config.items() if key not in late]
            values += [mapping for mapping in (work.input_mapping, work.output_mapping) if mapping]
            conditions.append(work.config.get("filter") if work.type == "wait" else None)
    found = (_names_of_condition(one) for one in conditions if isinstance(one, str))
    return set[str]().union(_names_of_value(values), *found)


def _names_of_value(value: Any) -> frozenset[str]:
    """The names in templates. What cannot be parsed reads nothing here, nor does what stands beside it; the checks report it."""
    from taskengine.expr import template  # noqa: PLC0415 -- declaring imports it, importing this does not

    try:
        return template(value, extra_roots=_EXTRA).names
    except (ExpressionError, LimitError):
        return frozenset()


def _names_of_condition(source: str) -> frozenset[str]:
    """The names in an expression, likewise."""
    from taskengine.expr import expression  # noqa: PLC0415 -- likewise

    try:
        return expression(source, extra_roots=_EXTRA).names
    except (ExpressionError, LimitError):
        return frozenset()

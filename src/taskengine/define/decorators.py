"""``@task`` and ``@workflow``: plain functions that declare a graph.

A decorated task is still a function: called anywhere, it runs. Called while a workflow is being declared, it becomes a step and
gives a placeholder for its result. A decorated workflow is declared once, when it is first needed, by calling it with placeholders;
called while another one is being declared, it is a step that starts an execution of its own.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, ParamSpec, TypeVar, Unpack, cast, overload

import msgspec

from taskengine.define.assembly import Defaults
from taskengine.define.bodies import compensation
from taskengine.define.declared import Declared, Drawn, not_yet, sound
from taskengine.define.functions import body_of, is_context, name_of, together
from taskengine.define.iterated import leaked
from taskengine.define.options import (
    Duration,
    Retry,
    StepOptions,
    UndoableOptions,
    fields_of,
    milliseconds,
    policy_of,
    success_of,
    word_of,
)
from taskengine.define.phrase import described, listed, quoted
from taskengine.define.placeholder import Placeholder, written
from taskengine.define.signature import input_schema_of, parameters_of
from taskengine.define.trace import Trace, current
from taskengine.define.traced_steps import sub_workflow
from taskengine.errors import DefinitionError
from taskengine.model.workflow import Limits, OnFailure, Step, Success, Workflow

__all__ = ["DecoratedWorkflow", "TaskFunction", "task", "workflow"]

P = ParamSpec("P")
R = TypeVar("R")
_GRAPH: Final = "graph"


class TaskFunction(Generic[P, R]):
    """A function that can be a step. Calling it calls the function, but where a workflow is declared it adds a step."""

    __name__: str

    def __init__(self, function: Callable[P, R], options: UndoableOptions, *, register_as: str = "") -> None:
        self.__taskengine_function__ = body_of(function)
        self.register_as = register_as
        self._options = options
        functools.update_wrapper(self, function)

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, *args: Any, **kwargs: Any) -> R: ...
    def __call__(self, *args: Any, **kwargs: Any) -> R:
        """Run it; while a workflow is declared, add a step (which also takes ``when=`` and ``after=``)."""
        trace = current()
        if trace is None:
            result: R = self.__taskengine_function__(*args, **kwargs)
            return result
        return cast("R", self._step(trace, args, kwargs=kwargs))

    def with_options(self, **options: Unpack[UndoableOptions]) -> TaskFunction[P, R]:
        """The same function as another step: ``month.with_options(id="may", timeout="1m")(5)``."""
        return TaskFunction(self.__taskengine_function__, {**self._options, **options}, register_as=self.register_as)

    def __repr__(self) -> str:
        return f"<task {self.__name__}>"

    def _step(self, trace: Trace, args: tuple[object, ...], *, kwargs: dict[str, Any]) -> Placeholder:
        function = self.__taskengine_function__
        parameters = parameters_of(function)
        options = cast("UndoableOptions", dict(self._options))
        after: object = () if "after" in parameters else kwargs.pop("after", ())
        if "when" in kwargs and "when" not in parameters:
            options["when"] = kwargs.pop("when")
        fields = fields_of(options)
        step_id, shown = trace.named(options, otherwise=self.__name__)
        given = _given(function, args, kwargs=kwargs, parameters=parameters)
        params = {key: written(value, what=f"{_called(function)}, {key}") for key, value in given.items()}
        recorded = name_of(function, register_as=self.register_as)
        config = {"function": recorded, **({"params": params} if params else {}), **fields.pop("config", {})}
        if "compensate" in options:
            known = {**_defaults(parameters), **given}
            fields["compensate"] = compensation(trace, options["compensate"], of=step_id, given=known)
        step = Step(id=step_id, type="function", name=shown, config=config, **fields)
        together(trace.functions, {recorded: function})
        result = trace.add(step, after=after, said=frozenset(fields))
        _must_be_given(parameters, {*params, *trace.depends_on(step_id), *trace.knows}, of=step_id)
        return result


def _given(
    function: Callable[..., Any], args: tuple[object, ...], *, kwargs: dict[str, Any], parameters: Mapping[str, inspect.Parameter]
) -> dict[str, Any]:
    """The arguments by parameter."""
    takers = [one for one in parameters.values() if not is_context(one)]
    if any(one.kind is one.VAR_POSITIONAL for one in takers):
        raise DefinitionError("bad_function", f"{_called(function)} takes *{_first_many(takers)}; a step's parameters have names")
    kept = [one.replace(annotation=one.empty) for one in takers]
    try:
        bound = inspect.Signature(kept).bind_partial(*args, **kwargs) if parameters else None
    except (TypeError, ValueError) as error:
        hint = f"it takes {listed(one.name for one in takers) or 'nothing'}; a step also takes when= and after="
        raise DefinitionError("wrong_arguments", f"{_called(function)}: {error}", hint=hint) from None
    given: dict[str, Any] = dict(bound.arguments) if bound is not None else dict(kwargs)
    for one in takers:
        if one.kind is one.VAR_KEYWORD:
            given |= given.pop(one.name, {})
    return given


def _defaults(parameters: Mapping[str, inspect.Parameter]) -> dict[str, object]:
    """What a function takes where nothing is given."""
    return {name: one.default for name, one in parameters.items() if one.default is not one.empty}


def _must_be_given(parameters: Mapping[str, inspect.Parameter], given: Iterable[str], *, of: str) -> None:
    """Every parameter without a default is given, or named after a dependency."""
    known = set(given)
    named = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    lacking = [
        name
        for name, one in parameters.items()
        if one.kind in named and one.default is one.empty and name not in known and not is_context(one)
    ]
    if lacking:
        hint = "pass it, or name it after a step that this one depends on"
        raise DefinitionError("wrong_arguments", f"step {quoted(of)}: no value for {listed(lacking)}", hint=hint)


def _called(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__name__', 'the function')}()"


def _first_many(parameters: Iterable[inspect.Parameter]) -> str:
    return next(one.name for one in parameters if one.kind is one.VAR_POSITIONAL)


@overload
def task(function: Callable[P, R], /) -> TaskFunction[P, R]: ...
@overload
def task(*, register_as: str = "", **options: Unpack[UndoableOptions]) -> Callable[[Callable[P, R]], TaskFunction[P, R]]: ...
def task(
    function: Callable[..., Any] | None = None, /, *, register_as: str = "", **options: Unpack[UndoableOptions]
) -> TaskFunction[..., Any] | Callable[[Callable[..., Any]], TaskFunction[..., Any]]:
    """Make a task of a function: ``@task``, or ``@task(timeout="30s", retry=3, name="Load")``.

    ``register_as``: the name it is known by where its import path does not serve. ``compensate``: the task that undoes it; its
    parameters get what this one was given under the same names, and the first other one what this one gave. Where more is to be
    said, a function that calls it: ``compensate=lambda booking: cancel(booking.id, reason="failed")``.
    """
    words = UndoableOptions.__annotations__
    unknown = sorted(set(options) - set(words))
    if unknown:
        hint = f"known: register_as, {', '.join(words)}"
        raise DefinitionError("unknown_key", f"@task knows no {listed(unknown)}", hint=hint)

    def decorate(late: Callable[..., Any]) -> TaskFunction[..., Any]:
        return TaskFunction(late, options, register_as=register_as)

    return decorate if function is None else decorate(function)


class _Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What is said about a workflow beside its function."""

    name: str
    version: str
    description: str
    owner: str
    tags: tuple[str, ...]
    limits: Limits
    input_schema: dict[str, Any] | None
    variables: dict[str, Any]
    success: Success | None
    on_failure: OnFailure | None
    business_key: str
    is_template: bool
    defaults: Defaults


class DecoratedWorkflow(Drawn, Generic[P, R]):
    """A function that declares a graph. Calling it runs it as a plain function, tasks and all; the engine runs it durably.

    One with steps that the engine performs itself (``map_over``, ``wait``, …) cannot be called so: they are refused by name.
    """

    def __init__(self, function: Callable[P, R], settings: _Settings) -> None:
        self._function = function
        self._settings = settings
        self._declared: Declared | None = None
        functools.update_wrapper(self, function)

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, *args: Any, **kwargs: Any) -> R: ...
    def __call__(self, *args: Any, **kwargs: Any) -> R:
        """Call the function, here and now, recorded nowhere; while another workflow is declared, add a step that runs this one.

        The step also takes ``when=`` and ``after=``; ``sub_workflow`` says more.
        """
        function: Callable[..., R] = self._function
        if current() is None:
            return function(*args, **kwargs)
        parameters = parameters_of(function)
        options = {word: kwargs.pop(word) for word in ("after", "when") if word in kwargs and word not in parameters}
        given = _given(function, args, kwargs=kwargs, parameters=parameters)
        _must_be_given(parameters, given, of=self.name)
        return cast("R", sub_workflow(self, given, **cast("StepOptions", options)))

    @property
    def workflow(self) -> Workflow:
        """The graph."""
        return self.declared().workflow

    @property
    def name(self) -> str:
        """The workflow's name."""
        return self._settings.name

    def declared(self) -> Declared:
        """The graph and its functions; declared when this is first asked for."""
        if self._declared is None:
            self._declared = self._trace()
        return self._declared

    def __repr__(self) -> str:
        return f"<workflow {self._settings.name!r}>"

    def _trace(self) -> Declared:
        settings = self._settings
        parameters = parameters_of(self._function)
        many = [one.name for one in parameters.values() if one.kind in {one.VAR_POSITIONAL, one.VAR_KEYWORD}]
        if many:
            message = f"workflow {quoted(settings.name)} takes any number of arguments ({listed(many)})"
            raise DefinitionError("bad_function", message, hint="name each part of the input")
        optional = {name: one.default for name, one in parameters.items() if one.default is not one.empty}
        defaults = {name: written(value, what=f"the default of {name}") for name, value in optional.items()}
        given = {name: Placeholder(f"{'variables' if name in defaults else 'input'}.{name}") for name in parameters}
        function = cast("Callable[..., object]", self._function)
        schema = settings.input_schema
        if schema is None and parameters:
            schema = input_schema_of(self._function, defaults=defaults)
        trace = Trace(defaults=settings.defaults)
        result = trace.declare(lambda: function(**given), what=f"workflow {quoted(settings.name)}")
        found = Workflow(
            name=settings.name,
            version=settings.version,
            description=settings.description,
            owner=settings.owner,
            tags=settings.tags,
            input_schema=schema,
            output=written(result, what="what the workflow returns"),
            business_key=settings.business_key,
            variables={**settings.variables, **defaults},
            success=settings.success,
            is_template=settings.is_template,
            limits=settings.limits,
            steps=trace.steps,
        )
        _must_be_seen(found)
        on_failure = settings.on_failure
        if on_failure is None:
            is_undone = any(step.compensate is not None for step in found.every_step())
            on_failure = OnFailure.COMPENSATE if is_undone else OnFailure.FAIL
        return sound(msgspec.structs.replace(found, on_failure=on_failure), trace.functions, calls=tuple(trace.calls))


def _must_be_seen(workflow: Workflow) -> None:
    """Every item and index is read in the body that it belongs to."""
    own = [(f"step {quoted(step.id)}", msgspec.structs.replace(step, blocks=())) for step in workflow.every_step()]
    for what, value in [*own, (f"workflow {quoted(workflow.name)}", msgspec.structs.replace(workflow, variables={}))]:
        name = leaked(value)
        if name:
            message = f"{what} reads the {name} of a map or loop that it is not in"
            raise DefinitionError(
                "name_not_available", message, hint="let the body return what is needed, and read what map_over() gave"
            )


@overload
def workflow(function: Callable[P, R], /) -> DecoratedWorkflow[P, R]: ...
@overload
def workflow(
    *,
    name: str = "",
    version: str = "",
    description: str = "",
    owner: str = "",
    tags: Iterable[str] = (),
    kind: str = _GRAPH,
    timeout: Duration | None = None,
    max_concurrency: int | None = None,
    priority: int | None = None,
    task_timeout: Duration | None = None,
    task_retry: Retry | None = None,
    input: Mapping[str, Any] | None = None,
    variables: Mapping[str, Any] | None = None,
    success: str | Mapping[str, Any] | Success | None = None,
    on_failure: OnFailure | str | None = None,
    business_key: str = "",
    is_template: bool = False,
) -> Callable[[Callable[P, R]], DecoratedWorkflow[P, R]]: ...
def workflow(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str = "",
    version: str = "",
    description: str = "",
    owner: str = "",
    tags: Iterable[str] = (),
    kind: str = _GRAPH,
    timeout: Duration | None = None,
    max_concurrency: int | None = None,
    priority: int | None = None,
    task_timeout: Duration | None = None,
    task_retry: Retry | None = None,
    input: Mapping[str, Any] | None = None,
    variables: Mapping[str, Any] | None = None,
    success: str | Mapping[str, Any] | Success | None = None,
    on_failure: OnFailure | str | None = None,
    business_key: str = "",
    is_template: bool = False,
) -> DecoratedWorkflow[..., Any] | Callable[[Callable[..., Any]], DecoratedWorkflow[..., Any]]:
    """Make a workflow of a function that calls tasks: ``@workflow``, or ``@workflow(name="daily-report", timeout="1h")``.

    Its parameters are the input, those with a default are variables; what it returns is the output. ``task_timeout`` and
    ``task_retry`` hold for every task that says nothing else. ``input`` is a JSON Schema in the place of the one that the
    annotations give, ``variables`` are further ones. Where a task says how it is undone, ``on_failure`` is ``compensate`` unless it
    is said.
    """
    if kind != _GRAPH:
        raise not_yet(f"@workflow(kind={kind!r})", hint="leave kind out: the function then declares a graph")
    limits: dict[str, Any] = {"max_concurrency": max_concurrency}
    if timeout is not None:
        limits["timeout_ms"] = milliseconds(timeout, what="timeout")
    if priority is not None:
        limits["priority"] = priority
    retry = None if task_retry is None else policy_of(task_retry, what="task_retry")
    bound = None if task_timeout is None else milliseconds(task_timeout, what="task_timeout")
    rule = None if success is None else success_of(success)
    failing = None if on_failure is None else word_of(OnFailure)(on_failure, what="on_failure")

    def decorate(late: Callable[..., Any]) -> DecoratedWorkflow[..., Any]:
        if not inspect.isfunction(late):
            raise DefinitionError("not_a_function", f"@workflow expects a function, found {described(late)}")
        settings = _Settings(
            name=name or late.__name__,
            version=version,
            description=description or _first_paragraph(late.__doc__),
            owner=owner,
            tags=tuple(tags),
            limits=Limits(**limits),
            input_schema=None if input is None else written(input, what="input"),
            variables=written(variables or {}, what="variables"),
            success=rule,
            on_failure=failing,
            business_key=business_key,
            is_template=is_template,
            defaults=Defaults(bound, retry),
        )
        return DecoratedWorkflow(late, settings)

    return decorate if function is None else decorate(function)


def _first_paragraph(text: str | None) -> str:
    first = inspect.cleandoc(text or "").partition("\n\n")[0]
    return re.sub(r"\s+", " ", first).strip()

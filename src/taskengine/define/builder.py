"""The builders: a workflow put together by a program, task by task.

``build`` gives what the engine takes. A task's name may be any text; what is no identifier gets a slug as its id, and both are
accepted wherever a step is named. Words and defaults are those of the documents.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self

import msgspec

from taskengine.define.declared import Declared, Drawn, not_yet, sound
from taskengine.define.functions import Named, body_of, name_of, together
from taskengine.define.options import Duration, Retry, TaskOptions, fields_of, milliseconds, policy_of
from taskengine.define.phrase import described, listed, nearest, quoted
from taskengine.define.placeholder import written
from taskengine.define.rules import id_fault, slug
from taskengine.errors import DefinitionError
from taskengine.model.workflow import CONTROL_STEPS, Join, Limits, OnError, RetryPolicy, Step, Workflow

__all__ = ["BuiltTask", "TaskBuilder", "WorkflowBuilder", "step_id_of"]

_NAMED: Final = re.compile(r"""\bsteps\[\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*\]""")


class BuiltTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task as its builder left it: dependencies still by whatever name they were given, defaults not yet applied."""

    name: str
    step: Step
    functions: Named
    said: frozenset[str]  # attributes that were said, and so have no default


def step_id_of(name: str) -> str:
    """The id that a task of this name has. ``DefinitionError("bad_step_id")`` when no id can be made of it."""
    name = unicodedata.normalize("NFC", name)
    step_id = name if not id_fault(name) else slug(name)
    if not step_id:
        reason = id_fault(name)
        raise DefinitionError("bad_step_id", f"{quoted(name)} cannot be a task's name: {reason}", hint='give it an id: id="load"')
    return step_id


class TaskBuilder:
    """One task. The order of calls does not matter; the last word about a thing holds."""

    def __init__(self, name: str, description: str = "", *, id: str = "") -> None:
        self._name = name
        self._id = id
        self._type = "function"
        self._functions: dict[str, Callable[..., Any]] = {}
        self._depends_on: list[str] = []
        self._options = TaskOptions()
        if description:
            self._options["description"] = description

    @property
    def name(self) -> str:
        """The name, by which other tasks may depend on it."""
        return self._name

    # What it does

    def with_job_function(
        self, function: Callable[..., Any] | str, params: Mapping[str, Any] | None = None, /, **more: Any
    ) -> Self:
        """Call a function, given itself or by the name it is registered under, with these parameters (templates allowed)."""
        if isinstance(function, str):
            name = function
            self._functions = {}
        else:
            body = body_of(function)
            name = name_of(body, register_as=getattr(function, "register_as", ""))
            self._functions = {name: body}
        given = written({**(params or {}), **more}, what=f"the params of {quoted(self._name)}")
        kept = {key: value for key, value in self._options.get("config", {}).items() if key not in {"function", "params"}}
        return self.with_type("function", {"function": name, **({"params": given} if given else {}), **kept})

    def with_type(self, type: str, config: Mapping[str, Any] | None = None) -> Self:
        """Be a step of another type: ``with_type("wait", {"duration": "1h"})``."""
        self._type = type
        self._options["config"] = dict(config or {})
        return self

    def with_config(self, **settings: Any) -> Self:
        """Add to the step's config, for example ``run_in="process"``."""
        self._options["config"] = {**self._options.get("config", {}), **settings}
        return self

    # When it starts

    def with_dependencies(self, *tasks: str | TaskBuilder | BuiltTask) -> Self:
        """Start after these tasks, given by name, id, or as they are."""
        self._depends_on += [task if isinstance(task, str) else task.name for task in tasks]
        return self

    def depends_on(self, *tasks: str | TaskBuilder | BuiltTask) -> Self:
        """Start after these tasks."""
        return self.with_dependencies(*tasks)

    def with_condition(self, when: str | bool) -> Self:  # noqa: FBT001 -- `true` and `false` are conditions
        """Be skipped when this expression is false."""
        self._options["when"] = when
        return self

    def with_join(self, join: Join | str) -> Self:
        """Judge by this rule how the dependencies ended."""
        self._options["join"] = join
        return self

    def with_handles(self, *errors: str | type[BaseException]) -> Self:
        """Count these failures of dependencies as handled."""
        self._options["handles"] = errors
        return self

    # Attempts and bounds

    def with_timeout(self, timeout: Duration) -> Self:
        """Bound one attempt."""
        self._options["timeout"] = timeout
        return self

    def with_total_timeout(self, timeout: Duration) -> Self:
        """Bound all attempts together."""
        self._options["total_timeout"] = timeout
        return self

    def with_queue_timeout(self, timeout: Duration) -> Self:
        """Bound the wait for a slot."""
        self._options["queue_timeout"] = timeout
        return self

    def with_heartbeat(self, heartbeat: Duration) -> Self:
        """Fail an attempt that has not been heard of for so long."""
        self._options["heartbeat"] = heartbeat
        return self

    def with_retry(self, policy: Retry | None = None, /, **words: Any) -> Self:
        """Try again: a policy, how many attempts there may be, or the words of a document (``max_attempts=3, …``)."""
        said = policy_of(policy if policy is not None else {}, what="retry")
        self._options["retry"] = said if not words else _policy_with(said, words)
        return self

    def with_retry_count(self, count: int) -> Self:
        """Try again so many times after the first attempt."""
        self._options["retry"] = msgspec.structs.replace(self._policy(), max_attempts=count + 1)
        return self

    def with_retry_interval(self, interval: Duration) -> Self:
        """Wait so long between attempts, always the same."""
        pause = milliseconds(interval, what="retry interval")
        policy = self._policy()
        longest = max(pause, policy.max_interval_ms)
        self._options["retry"] = msgspec.structs.replace(
            policy, initial_interval_ms=pause, max_interval_ms=longest, backoff_coefficient=1.0
        )
        return self

    def _policy(self) -> RetryPolicy:
        return policy_of(self._options.get("retry", RetryPolicy()), what="retry")

    def with_idempotent(self, is_idempotent: bool = True) -> Self:  # noqa: FBT001, FBT002 -- the word of the language
        """Say whether the task may be performed again after a crash in its middle; otherwise it waits for a person."""
        self._options["idempotent"] = is_idempotent
        return self

    def with_on_error(self, on_error: OnError | str) -> Self:
        """Fail the execution with this task, or go on as ``partial``."""
        self._options["on_error"] = on_error
        return self

    def with_isolation(self, isolation: str) -> Self:
        """Keep a script from the machine: ``process``, ``sandbox`` or ``strict``."""
        self._options["isolation"] = isolation
        return self

    # Data and marks

    def with_input_mapping(self, mapping: Mapping[str, Any]) -> Self:
        """Give these inputs, made of templates."""
        self._options["input_mapping"] = mapping
        return self

    def with_output_mapping(self, mapping: Mapping[str, Any]) -> Self:
        """Let later steps see this instead of the output."""
        self._options["output_mapping"] = mapping
        return self

    def with_priority(self, priority: int) -> Self:
        """Be more urgent (9) or less (0) than others."""
        self._options["priority"] = priority
        return self

    def with_tags(self, *tags: str) -> Self:
        """Carry these tags."""
        self._options["tags"] = tags
        return self

    def with_compensation(self, function: Callable[..., Any] | str, params: Mapping[str, Any] | None = None) -> Self:
        """Refuse by name: compensation comes in a later version."""
        raise not_yet("compensation", hint="a task with join any_failed can undo what another did")

    def build(self) -> BuiltTask:
        """The task. Whether it fits into a workflow is judged there."""
        fields = fields_of(self._options)
        step_id = self._id or step_id_of(self._name)
        shown = "" if step_id == self._name else self._name
        step = Step(id=step_id, type=self._type, name=shown, depends_on=tuple(self._depends_on), **fields)
        return BuiltTask(name=self._name, step=step, functions=dict(self._functions), said=frozenset(fields))


class WorkflowBuilder(Drawn):
    """A workflow. Tasks are added in any order; ``build`` resolves their names."""

    def __init__(self, name: str, description: str = "", *, version: str = "", owner: str = "") -> None:
        self._fields: dict[str, Any] = {"name": name, "description": description, "version": version, "owner": owner}
        self._limits: dict[str, Any] = {}
        self._variables: dict[str, Any] = {}
        self._default_timeout: int | None = None
        self._default_retry: RetryPolicy | None = None
        self._tasks: list[BuiltTask] = []

    def with_task(self, task: TaskBuilder | BuiltTask | Step) -> Self:
        """Add a task."""
        if isinstance(task, Step):
            every = frozenset(field.name for field in msgspec.structs.fields(Step))
            task = BuiltTask(name=task.name or task.id, step=task, functions={}, said=every)
        self._tasks.append(_built(task))
        return self

    def with_tasks(self, *tasks: TaskBuilder | BuiltTask | Step) -> Self:
        """Add several tasks."""
        for task in tasks:
            self.with_task(task)
        return self

    def with_params(self, params: Mapping[str, Any] | None = None, /, **more: Any) -> Self:
        """Add variables with their defaults; a key of the input with the same name overrides one."""
        self._variables |= written({**(params or {}), **more}, what="params")
        return self

    def with_input(self, schema: Mapping[str, Any]) -> Self:
        """Declare the input by a JSON Schema."""
        self._fields["input_schema"] = written(schema, what="input")
        return self

    def with_output(self, output: Any) -> Self:
        """Make the execution's output of these templates."""
        self._fields["output"] = written(output, what="output")
        return self

    def with_version(self, version: str) -> Self:
        """Label this version."""
        self._fields["version"] = version
        return self

    def with_owner(self, owner: str) -> Self:
        """Say whose workflow it is."""
        self._fields["owner"] = owner
        return self

    def with_tags(self, *tags: str) -> Self:
        """Carry these tags."""
        self._fields["tags"] = tags
        return self

    def with_timeout(self, timeout: Duration) -> Self:
        """Bound a whole execution."""
        self._limits["timeout_ms"] = milliseconds(timeout, what="timeout")
        return self

    def with_max_concurrency(self, count: int) -> Self:
        """Bound how many attempts of one execution run at the same time."""
        self._limits["max_concurrency"] = count
        return self

    def with_priority(self, priority: int) -> Self:
        """Be more urgent (9) or less (0) than other executions."""
        self._limits["priority"] = priority
        return self

    def with_defaults(self, *, timeout: Duration | None = None, retry: Retry | None = None) -> Self:
        """Bound and retry every task that says nothing else about it."""
        if timeout is not None:
            self._default_timeout = milliseconds(timeout, what="default timeout")
        if retry is not None:
            self._default_retry = policy_of(retry, what="default retry")
        return self

    def with_retry(self, policy: Retry | None = None, /, **words: Any) -> Self:
        """Retry every task that says nothing else about it."""
        said = policy_of(policy if policy is not None else {}, what="retry")
        self._default_retry = said if not words else _policy_with(said, words)
        return self

    def with_cron_expr(self, expression: str) -> Self:
        """Refuse by name: schedules come in a later version."""
        raise not_yet("a schedule", hint="start it with engine.execute_workflow or `task-engine run`")

    def with_realtime_task(self, task: object) -> Self:
        """Refuse by name: streams come in a later version."""
        raise not_yet("a realtime task")

    def with_streaming_mode(self) -> Self:
        """Refuse by name: streams come in a later version."""
        raise not_yet("streaming mode")

    def build(self) -> Declared:
        """The workflow: names unique, dependencies resolved, no cycle, all of it checked. Raises ``DefinitionError``."""
        ids = _ids_of(self._tasks)
        functions: dict[str, Callable[..., Any]] = {}
        for task in self._tasks:
            together(functions, task.functions)
        steps = tuple(self._step(task, ids) for task in self._tasks)
        output = _by_id(self._fields.get("output"), ids)
        fields = {**self._fields, "output": output}
        return sound(Workflow(**fields, variables=dict(self._variables), limits=Limits(**self._limits), steps=steps), functions)

    def declared(self) -> Declared:
        """What ``build`` gives: the engine takes an unbuilt builder too."""
        return self.build()

    def _step(self, task: BuiltTask, ids: Mapping[str, str]) -> Step:
        step = task.step
        known = list(ids)
        depends_on = tuple(_resolved(name, ids, known=known, of=task.name) for name in step.depends_on)
        changes: dict[str, Any] = {"depends_on": depends_on}
        for attribute in ("config", "input_mapping", "output_mapping", "when"):
            changes[attribute] = _by_id(getattr(step, attribute), ids, is_text=attribute == "when")
        if step.type not in CONTROL_STEPS:
            if "timeout_ms" not in task.said and self._default_timeout is not None:
                changes["timeout_ms"] = self._default_timeout
            if "retry" not in task.said and self._default_retry is not None:
                changes["retry"] = self._default_retry
        return msgspec.structs.replace(step, **changes)


def _built(task: object) -> BuiltTask:
    if isinstance(task, TaskBuilder):
        return task.build()
    if isinstance(task, BuiltTask):
        return task
    hint = 'with_task(TaskBuilder("load").with_job_function(load))'
    raise DefinitionError("wrong_type", f"expected a task, found {described(task)}", hint=hint)


def _policy_with(policy: RetryPolicy, words: Mapping[str, Any]) -> RetryPolicy:
    """The policy with what the words say beside it."""
    said = policy_of(words, what="retry")
    changed = {name: value for name, value in msgspec.structs.asdict(said).items() if value != getattr(RetryPolicy(), name)}
    return msgspec.structs.replace(policy, **changed)


def _ids_of(tasks: Iterable[BuiltTask]) -> dict[str, str]:
    """Id by id and by name. Raises ``DefinitionError("duplicate_step_id")``."""
    ids: dict[str, str] = {}
    names: dict[str, str] = {}
    for task in tasks:
        step_id = task.step.id
        if step_id in ids:
            other = next(name for name, known in names.items() if known == step_id)
            both = f"the task {quoted(task.name)} is there twice"
            if other != task.name:
                both = f"the tasks {quoted(other)} and {quoted(task.name)} have the same id {quoted(step_id)}"
            raise DefinitionError(
                "duplicate_step_id", both, hint=f"give one of them another: TaskBuilder(…, id={step_id + '_2'!r})"
            )
        ids[step_id] = step_id
        names.setdefault(task.name, step_id)
    return {**names, **ids}


def _resolved(name: str, ids: Mapping[str, str], *, known: list[str], of: str) -> str:
    if name in ids:
        return ids[name]
    meant = nearest(name, known)
    hint = f"did you mean {quoted(meant)}?" if meant else f"known tasks: {listed(known)}"
    raise DefinitionError("unknown_dependency", f"task {quoted(of)} depends on {quoted(name)}, which does not exist", hint=hint)


def _by_id(value: Any, ids: Mapping[str, str], *, is_text: bool = False) -> Any:
    """The value with steps that are named as ``steps["the name"]`` named by id, in conditions and templates."""
    if isinstance(value, str):
        return _NAMED.sub(lambda match: _dotted(match, ids), value) if is_text or "{{" in value else value
    if isinstance(value, dict):
        return {key: _by_id(item, ids) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_by_id(item, ids) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def _dotted(match: re.Match[str], ids: Mapping[str, str]) -> str:
    name = match.group(1)[1:-1]
    return f"steps.{ids[name]}" if name in ids else match.group(0)

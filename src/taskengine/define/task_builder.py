"""One task, put together by a program. The words and defaults are those of the documents.

A task's name may be any text; what is no identifier gets a slug as its id, and both are accepted wherever a step is named.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Self, Unpack

import msgspec

from taskengine.define.functions import Named, body_of, name_of, together
from taskengine.define.options import Duration, Retry, TaskOptions, fields_of, milliseconds, policy_of
from taskengine.define.phrase import described, quoted
from taskengine.define.placeholder import written
from taskengine.define.rules import id_fault, slug
from taskengine.errors import DefinitionError
from taskengine.model.workflow import Join, OnError, RetryPolicy, Step

__all__ = ["BuiltBlock", "BuiltTask", "TaskBuilder", "built_from", "policy_with", "step_id_of"]


class BuiltBlock(msgspec.Struct, frozen=True, kw_only=True):
    """A block of a container as its builder left it."""

    name: str = ""
    when: str | None = None
    output: Any = None
    tasks: tuple[BuiltTask, ...] = ()


class BuiltTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task as its builder left it: dependencies still by whatever name they were given, defaults not yet applied."""

    name: str
    step: Step
    functions: Named
    blocks: tuple[BuiltBlock, ...] = ()
    said: frozenset[str]  # attributes that were said, and so have no default
    said_of_undoing: frozenset[str] = frozenset()  # likewise of its compensation


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
        self._compensation: BuiltTask | None = None
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
        self._options["retry"] = said if not words else policy_with(said, words)
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

    def with_compensation(
        self, function: Callable[..., Any] | str, params: Mapping[str, Any] | None = None, **options: Unpack[TaskOptions]
    ) -> Self:
        """Be undone by this function when the execution fails or is cancelled with compensation.

        The function is given itself or by name; ``params`` may read what the task gave: ``{{ steps.book.output.id }}``. A workflow
        with such a task compensates when it fails, unless ``with_on_failure`` says otherwise.
        """
        undo = TaskBuilder(self._name, id="undo").with_job_function(function, params).build()
        fields = fields_of(options)
        step = msgspec.structs.replace(undo.step, id="", name="", **fields)
        self._compensation = msgspec.structs.replace(undo, step=step, said=frozenset(fields))
        return self

    def build(self) -> BuiltTask:
        """The task. Whether it fits into a workflow is judged there."""
        fields = fields_of(self._options)
        step_id = self._id or step_id_of(self._name)
        shown = "" if step_id == self._name else self._name
        functions = dict(self._functions)
        step = Step(id=step_id, type=self._type, name=shown, depends_on=tuple(self._depends_on), **fields)
        said_of_undoing: frozenset[str] = frozenset()
        if self._compensation is not None:
            together(functions, self._compensation.functions)
            step = msgspec.structs.replace(step, compensate=self._compensation.step)
            said_of_undoing = self._compensation.said
        return BuiltTask(name=self._name, step=step, functions=functions, said=frozenset(fields), said_of_undoing=said_of_undoing)


def built_from(task: object) -> BuiltTask:
    """A task from a builder, from what one built, or from a step. Raises ``DefinitionError("wrong_type")``."""
    if isinstance(task, TaskBuilder):
        return task.build()
    if isinstance(task, BuiltTask):
        return task
    hint = 'with_task(TaskBuilder("load").with_job_function(load))'
    if isinstance(task, Step):
        every = frozenset(field.name for field in msgspec.structs.fields(Step))
        return BuiltTask(name=task.name or task.id, step=task, functions={}, said=every, said_of_undoing=every)
    raise DefinitionError("wrong_type", f"expected a task, found {described(task)}", hint=hint)


def policy_with(policy: RetryPolicy, words: Mapping[str, Any]) -> RetryPolicy:
    """The policy with what the words say beside it."""
    said = policy_of(words, what="retry")
    changed = {name: value for name, value in msgspec.structs.asdict(said).items() if value != getattr(RetryPolicy(), name)}
    return msgspec.structs.replace(policy, **changed)

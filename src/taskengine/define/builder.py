"""The builder: a workflow put together by a program, task by task.

``build`` gives what the engine takes. Words and defaults are those of the documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from taskengine.define.assembly import Defaults, assembled, every_task, ids_of, named_by_id
from taskengine.define.block_builder import Steps
from taskengine.define.declared import Declared, Drawn, not_yet, sound
from taskengine.define.functions import together
from taskengine.define.options import Duration, Retry, milliseconds, policy_of, success_of, word_of
from taskengine.define.placeholder import written
from taskengine.define.task_builder import BuiltTask, TaskBuilder, policy_with, step_id_of
from taskengine.model.workflow import Limits, OnFailure, RetryPolicy, Success, Workflow

__all__ = ["BuiltTask", "TaskBuilder", "WorkflowBuilder", "step_id_of"]


class WorkflowBuilder(Steps, Drawn):
    """A workflow. Tasks are added in any order; ``build`` resolves their names."""

    def __init__(self, name: str, description: str = "", *, version: str = "", owner: str = "") -> None:
        self._fields: dict[str, Any] = {"name": name, "description": description, "version": version, "owner": owner}
        self._limits: dict[str, Any] = {}
        self._variables: dict[str, Any] = {}
        self._default_timeout: int | None = None
        self._default_retry: RetryPolicy | None = None
        super().__init__()

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

    def with_success(self, rule: str | Mapping[str, Any] | Success) -> Self:
        """Complete when this holds: ``any``, ``{"at_least": 2}`` or ``"80%"``, ``{"when": expression}``; without it, ``all``."""
        self._fields["success"] = success_of(rule)
        return self

    def with_on_failure(self, on_failure: OnFailure | str) -> Self:
        """Undo what was done when an execution fails (``compensate``), or leave it (``fail``)."""
        self._fields["on_failure"] = word_of(OnFailure)(on_failure, what="on_failure")
        return self

    def with_business_key(self, key: str) -> Self:
        """Name executions by this template."""
        self._fields["business_key"] = str(key)
        return self

    def with_is_template(self, is_template: bool = True) -> Self:  # noqa: FBT001, FBT002 -- the word of the language
        """Be kept to be copied, and not to be started."""
        self._fields["is_template"] = is_template
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
        self._default_retry = said if not words else policy_with(said, words)
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
        tasks = self.built()
        ids = ids_of(tasks)
        functions: dict[str, Callable[..., Any]] = {}
        for task in every_task(tasks):
            together(functions, task.functions)
        steps = assembled(tasks, Defaults(self._default_timeout, self._default_retry))
        fields = {**self._fields, "output": named_by_id(self._fields.get("output"), ids)}
        if any(task.step.compensate is not None for task in every_task(tasks)):
            fields.setdefault("on_failure", OnFailure.COMPENSATE)
        return sound(Workflow(**fields, variables=dict(self._variables), limits=Limits(**self._limits), steps=steps), functions)

    def declared(self) -> Declared:
        """What ``build`` gives: the engine takes an unbuilt builder too."""
        return self.build()

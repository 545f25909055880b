"""Blocks put together by a program: where steps are added, and the containers that hold blocks of further steps.

A container is a task like any other: ``builder.map("each", items="{{ input.rows }}").do(lambda block: block.with_task(…))`` adds
one and gives its builder, which takes dependencies, conditions and the like. What is inside is added to the block that a function
is called with, or named as it is: ``.case("input.x > 1", load, store)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeAlias

import msgspec

from taskengine.define.options import success_of
from taskengine.define.phrase import quoted
from taskengine.define.placeholder import Placeholder, condition_of, written
from taskengine.define.task_builder import BuiltBlock, BuiltTask, TaskBuilder, built_from
from taskengine.errors import DefinitionError
from taskengine.model.workflow import Step, Success

__all__ = ["BlockBuilder", "ConditionBuilder", "Content", "LoopBuilder", "MapBuilder", "ParallelBuilder", "Steps"]

When: TypeAlias = str | bool | Placeholder


class Steps:
    """Where tasks are added, in any order. A task's name is its own in its block."""

    def __init__(self) -> None:
        self._added: list[BuiltTask | TaskBuilder] = []

    def with_task(self, task: TaskBuilder | BuiltTask | Step) -> Self:
        """Add a task."""
        self._added.append(built_from(task))
        return self

    def with_tasks(self, *tasks: TaskBuilder | BuiltTask | Step) -> Self:
        """Add several tasks."""
        for task in tasks:
            self.with_task(task)
        return self

    def built(self) -> tuple[BuiltTask, ...]:
        """The tasks as they are now."""
        return tuple(built_from(task) for task in self._added)

    # Containers; each is added, and its builder given

    def condition(self, name: str, description: str = "") -> ConditionBuilder:
        """Add a choice between blocks: ``.case(when, …)``, ``.otherwise(…)``."""
        return self._also(ConditionBuilder(name, description))

    def parallel(self, name: str, description: str = "") -> ParallelBuilder:
        """Add blocks side by side: ``.branch(name, …)``."""
        return self._also(ParallelBuilder(name, description))

    def map(self, name: str, *, items: Any, max_concurrency: int | None = None, batch_size: int | None = None) -> MapBuilder:
        """Add a block for each of the items: ``.do(…)``; inside, ``item`` and ``index`` tell them apart."""
        return self._also(MapBuilder(name, items=items, max_concurrency=max_concurrency, batch_size=batch_size))

    def loop(
        self,
        name: str,
        *,
        until: When | None = None,
        while_: When | None = None,
        items: Any = None,
        max_iterations: int | None = None,
        max_concurrency: int | None = None,
    ) -> LoopBuilder:
        """Add a block that is repeated: until or while a condition holds, or over items one after the other: ``.do(…)``."""
        loop = LoopBuilder(
            name, until=until, while_=while_, items=items, max_iterations=max_iterations, max_concurrency=max_concurrency
        )
        return self._also(loop)

    # Steps that the engine performs itself; each is added, and its builder given

    def sub_workflow(
        self, name: str, workflow: str, *, version: str = "", inputs: Mapping[str, Any] | None = None, detach: bool = False
    ) -> TaskBuilder:
        """Add an execution of another workflow, by its name."""
        config = _said(workflow=workflow, version=version or None, detach=detach or None)
        task = TaskBuilder(name).with_type("workflow", config)
        return self._also(task.with_input_mapping(inputs) if inputs else task)

    def approval(
        self,
        name: str,
        *,
        approvers: Any = None,
        message: str | Placeholder | None = None,
        form: Mapping[str, Any] | None = None,
        deadline: Any = None,
        escalation: Mapping[str, Any] | None = None,
    ) -> TaskBuilder:
        """Add a decision of a person."""
        config = _said(approvers=approvers, message=message, form=form, deadline=deadline, escalation=escalation)
        return self._also(TaskBuilder(name).with_type("approval", config))

    def set(self, name: str, /, **values: Any) -> TaskBuilder:
        """Add a step that gives variables of the workflow new values."""
        return self._also(TaskBuilder(name).with_type("set", _said(**values)))

    def wait(
        self,
        name: str,
        *,
        duration: Any = None,
        until: Any = None,
        signal: str | Placeholder | None = None,
        filter: When | None = None,  # noqa: A002 -- the word of the language
        deadline: Any = None,
    ) -> TaskBuilder:
        """Add a wait: for a time, until an instant, or for a signal (that passes a filter, and not longer than a deadline)."""
        passes = None if filter is None else condition_of(filter, what="filter")
        config = _said(duration=duration, until=until, signal=signal, filter=passes, deadline=deadline)
        return self._also(TaskBuilder(name).with_type("wait", config))

    def send_signal(
        self, name: str, signal: str, *, execution: Any = None, business_key: Any = None, data: Any = None
    ) -> TaskBuilder:
        """Add a step that sends a signal to another execution."""
        config = _said(signal=signal, execution=execution, business_key=business_key, data=data)
        return self._also(TaskBuilder(name).with_type("signal", config))

    def fail(self, name: str, *, type: str | None = None, message: str | Placeholder | None = None) -> TaskBuilder:
        """Add a step that fails."""
        return self._also(TaskBuilder(name).with_type("fail", _said(type=type, message=message)))

    def aggregate(
        self, name: str, *, items: Any, operation: str, field: str | None = None, group_by: str | None = None
    ) -> TaskBuilder:
        """Add a sum, a count and the like over items."""
        config = _said(items=items, operation=operation, field=field, group_by=group_by)
        return self._also(TaskBuilder(name).with_type("aggregate", config))

    def noop(self, name: str) -> TaskBuilder:
        """Add a step that does nothing: a place where others meet."""
        return self._also(TaskBuilder(name).with_type("noop"))

    def _also(self, task: Any) -> Any:
        self._added.append(task)
        return task


class BlockBuilder(Steps):
    """A block of steps inside of a container."""

    def __init__(self) -> None:
        super().__init__()
        self._output: Any = None

    def with_output(self, output: Any) -> Self:
        """Give what these templates make; without it, what the last steps gave."""
        self._output = written(output, what="output")
        return self

    def block(self, *, name: str = "", when: str | None = None) -> BuiltBlock:
        """The block as it is now."""
        return BuiltBlock(name=name, when=when, output=self._output, tasks=self.built())


Content: TypeAlias = TaskBuilder | BuiltTask | Step | Callable[[BlockBuilder], object]


class _ContainerBuilder(TaskBuilder):
    """A task that holds blocks."""

    def __init__(self, name: str, description: str = "", *, type: str) -> None:
        super().__init__(name, description)
        self.with_type(type)
        self._blocks: list[tuple[BlockBuilder, str, str | None]] = []
        self._success: Success | None = None

    def with_success(self, rule: str | Mapping[str, Any] | Success) -> Self:
        """Complete when this holds: ``any``, ``{"at_least": 2}`` or ``"80%"``, ``{"when": expression}``; without it, ``all``."""
        self._success = success_of(rule)
        return self

    def build(self) -> BuiltTask:
        """The container with its blocks."""
        task = super().build()
        blocks = tuple(block.block(name=name, when=when) for block, name, when in self._blocks)
        step = msgspec.structs.replace(task.step, success=self._success)
        return msgspec.structs.replace(task, step=step, blocks=blocks)

    def _add(self, content: tuple[Content, ...], *, name: str = "", when: str | None = None) -> None:
        block = BlockBuilder()
        for one in content:
            if callable(one) and not isinstance(one, TaskBuilder | BuiltTask | Step):
                one(block)
            else:
                block.with_task(one)  # what is no task is refused there, by name
        self._blocks.append((block, name, when))


class ConditionBuilder(_ContainerBuilder):
    """A choice: the first case that holds is taken."""

    def __init__(self, name: str, description: str = "") -> None:
        super().__init__(name, description, type="condition")

    def case(self, when: When, *content: Content, name: str = "") -> Self:
        """Do this when the expression is true and no case before it was."""
        if self._blocks and self._blocks[-1][2] is None:
            message = f"condition {quoted(self.name)}: a case after otherwise would never be looked at"
            raise DefinitionError("case_after_else", message, hint="say otherwise(…) last")
        self._add(content, name=name, when=condition_of(when, what="case"))
        return self

    def otherwise(self, *content: Content, name: str = "") -> Self:
        """Do this when no case holds. Said once, and last."""
        if self._blocks and self._blocks[-1][2] is None:
            raise DefinitionError(
                "case_after_else", f"condition {quoted(self.name)} has two otherwise", hint="say otherwise(…) once"
            )
        self._add(content, name=name)
        return self


class ParallelBuilder(_ContainerBuilder):
    """Blocks side by side."""

    def __init__(self, name: str, description: str = "") -> None:
        super().__init__(name, description, type="parallel")

    def branch(self, name: str, *content: Content) -> Self:
        """Do this beside the other branches."""
        self._add(content, name=name)
        return self


class _BodyBuilder(_ContainerBuilder):
    """A container of one block that is repeated."""

    def do(self, *content: Content) -> Self:
        """Do this each time. Said once."""
        if self._blocks:
            raise DefinitionError("two_bodies", f"{quoted(self.name)} has a body already", hint="say everything in one do(…)")
        self._add(content)
        return self


class MapBuilder(_BodyBuilder):
    """A block for each of several items, side by side."""

    def __init__(self, name: str, *, items: Any, max_concurrency: int | None = None, batch_size: int | None = None) -> None:
        super().__init__(name, type="map")
        self.with_config(**_said(items=items, max_concurrency=max_concurrency, batch_size=batch_size))


class LoopBuilder(_BodyBuilder):
    """A block that is repeated."""

    def __init__(
        self,
        name: str,
        *,
        until: When | None = None,
        while_: When | None = None,
        items: Any = None,
        max_iterations: int | None = None,
        max_concurrency: int | None = None,
    ) -> None:
        super().__init__(name, type="loop")
        ends = {key: condition_of(said, what=key) for key, said in (("until", until), ("while", while_)) if said is not None}
        self.with_config(**ends, **_said(items=items, max_iterations=max_iterations, max_concurrency=max_concurrency))


def _said(**config: Any) -> dict[str, Any]:
    """What was said, as a document holds it."""
    return {key: written(value, what=key) for key, value in config.items() if value is not None}

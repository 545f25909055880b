"""task-engine: durable workflows. Import the public names from here; each is loaded when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskengine.app.engine import Engine, Execution
    from taskengine.define.builder import TaskBuilder, WorkflowBuilder
    from taskengine.define.decorators import task, workflow
    from taskengine.define.traced_blocks import case, condition, loop, map_over, parallel
    from taskengine.define.traced_steps import (
        aggregate,
        approval,
        error_of,
        fail,
        noop,
        send_signal,
        set_variables,
        status_of,
        step,
        sub_workflow,
        wait,
    )
    from taskengine.model.workflow import Join, Limits, OnError, RetryPolicy, Step, Workflow
    from taskengine.ports.context import TaskContext, current_task
    from taskengine.ports.outbound import EgressPolicy
    from taskengine.runtime.settings import NodeSettings

__version__ = "0.1.0"
__all__ = [
    "EgressPolicy",
    "Engine",
    "Execution",
    "Join",
    "Limits",
    "NodeSettings",
    "OnError",
    "RetryPolicy",
    "Step",
    "TaskBuilder",
    "TaskContext",
    "Workflow",
    "WorkflowBuilder",
    "__version__",
    "aggregate",
    "approval",
    "case",
    "condition",
    "current_task",
    "error_of",
    "fail",
    "loop",
    "map_over",
    "noop",
    "parallel",
    "send_signal",
    "set_variables",
    "status_of",
    "step",
    "sub_workflow",
    "task",
    "wait",
    "workflow",
]

_HOMES = {
    "EgressPolicy": "taskengine.ports.outbound",
    "Engine": "taskengine.app.engine",
    "Execution": "taskengine.app.engine",
    "Join": "taskengine.model.workflow",
    "Limits": "taskengine.model.workflow",
    "NodeSettings": "taskengine.runtime.settings",
    "OnError": "taskengine.model.workflow",
    "RetryPolicy": "taskengine.model.workflow",
    "Step": "taskengine.model.workflow",
    "TaskBuilder": "taskengine.define.builder",
    "TaskContext": "taskengine.ports.context",
    "current_task": "taskengine.ports.context",
    "Workflow": "taskengine.model.workflow",
    "WorkflowBuilder": "taskengine.define.builder",
    "task": "taskengine.define.decorators",
    "workflow": "taskengine.define.decorators",
    **dict.fromkeys(("case", "condition", "loop", "map_over", "parallel"), "taskengine.define.traced_blocks"),
    **dict.fromkeys(
        (
            *("aggregate", "approval", "error_of", "fail", "noop", "send_signal", "set_variables", "status_of", "step"),
            *("sub_workflow", "wait"),
        ),
        "taskengine.define.traced_steps",
    ),
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'taskengine' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__

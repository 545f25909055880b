"""The ``function`` step type: Python callables, async ones in the event loop, plain ones in threads."""

from taskengine.adapters.function.executor import FunctionExecutor
from taskengine.adapters.function.registry import FunctionRegistry

__all__ = ["FunctionExecutor", "FunctionRegistry"]

"""The ``script`` step type: programs in child processes."""

from taskengine.adapters.script.executor import ScriptExecutor

__all__ = ["ScriptExecutor"]

"""Performs ``script`` steps: a child process for each attempt, its input as JSON, its output as a value.

It owns what a script is given and what its end means. That nothing is left of it is the keeper's matter (`adapters/process`).
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any, Final

from taskengine.adapters.process.children import Child, Children, Ending, Refused, Started
from taskengine.adapters.process.frames import Limits
from taskengine.adapters.process.heard import Heard
from taskengine.adapters.script.order import OrderError, order_of, program_of
from taskengine.model.command import Abandoned, AttemptEnd, Failed, Succeeded
from taskengine.model.duration import parse_duration_ms
from taskengine.model.script import inline_code, runtime_of, script_fault, script_of
from taskengine.model.value import Json, Raw, TaskError, decode, encode, is_deeper
from taskengine.model.workflow import Isolation, Step
from taskengine.ports.executor import Attempt

__all__ = ["ScriptExecutor", "failure_of"]

_ABANDONED: Final = Abandoned()
_FOLDER: Final = "."
_TOO_LARGE: Final = ("ScriptError", "ValidationError")  # what a result is that is too large
_RESULT_LIMIT: Final = "result_limit"
_PASSED: Final = {
    "cpu_limit": "it used more than {cpu:g} s of processor time",
    "memory_limit": "it used more than {memory} bytes of memory",
    "output_limit": "it wrote more than {output} bytes to stdout and stderr",
    "process_limit": "it started more than {processes} processes",
    "file_size_limit": "it wrote a file of more than {file_size} bytes",
}


class ScriptExecutor:
    """One for a node."""

    def __init__(self, children: Children, *, max_payload: int = 16 * 1024 * 1024, max_nesting: int = 64) -> None:
        self._children = children
        self._max_payload = max_payload
        self._max_nesting = max_nesting

    def missing(self, step: Step, source: str) -> str:
        """The file or the runtime that this node does not have."""
        script = script_of(step.config)
        if not isinstance(script, str):
            return "config.script names no script"
        fault = script_fault(script)
        if fault:
            return f"the script cannot be run: {fault}"
        if inline_code(script) is None and not (Path(source or _FOLDER) / script).is_file():
            return f'the file "{script}" beside the document does not exist'
        runtime = runtime_of(script, step.config.get("runtime"))
        program = program_of(runtime)
        return "" if shutil.which(program) else f'"{program}", which runs {runtime or "it"}, is not installed'

    def begin(self, attempt: Attempt) -> None:
        """Start the child."""
        try:
            config: Any = decode(attempt.input)
            order = order_of(config, attempt)
            timeout_ms = parse_duration_ms(config["timeout"]) if config.get("timeout") is not None else 0
        except (OrderError, ValueError) as error:
            attempt.end(Failed(TaskError(type="ValidationError", message=str(error), is_final=True)))
            attempt.free()
            return
        order = order._replace(limits=order.limits._replace(result=self._max_payload))
        run = _Run(attempt, order.limits, max_nesting=self._max_nesting, max_payload=self._max_payload)
        child = self._children.begin(
            order, encode(config.get("params", {})), on_output=run.heard.take, on_end=run.end, on_start=run.started
        )
        attempt.on_stop(child.stop)
        if timeout_ms:
            run.bound(child, timeout_ms)


class _Run:
    """One attempt and its child."""

    def __init__(self, attempt: Attempt, limits: Limits, *, max_payload: int, max_nesting: int) -> None:
        self._attempt = attempt
        self._limits = limits
        self._max_payload = max_payload
        self._max_nesting = max_nesting
        self._timer: asyncio.TimerHandle | None = None
        self._timed_out = ""
        self.heard = Heard(attempt)

    def bound(self, child: Child, timeout_ms: int) -> None:
        """Stop it when its own timeout is over, which may be shorter than the step's."""
        self._timer = asyncio.get_running_loop().call_later(timeout_ms / 1000, self._stop, child, timeout_ms)

    def _stop(self, child: Child, timeout_ms: int) -> None:
        self._timed_out = f"it did not end within {timeout_ms / 1000:g} s"
        child.stop()

    def started(self, started: Started) -> None:
        """Say what is not as it was wanted."""
        if started.without:
            self._attempt.log(f"there is no sandbox here ({started.without}): the script runs as a plain process", level="warning")

    def end(self, ending: Ending | Refused, result: bytes) -> None:
        """Nothing of the child is left."""
        if self._timer is not None:
            self._timer.cancel()
        self.heard.close()
        attempt = self._attempt
        attempt.free()
        attempt.end(self._judge(ending, result))

    def _judge(self, ending: Ending | Refused, result: bytes) -> AttemptEnd:
        if self._attempt.is_stopping:
            return _ABANDONED
        if self._timed_out:
            return Failed(TaskError(type="Timeout", message=self._timed_out))
        if isinstance(ending, Refused):
            return Failed(_refusal(ending))
        if ending.left_behind:
            count = ending.left_behind
            self._attempt.log(f"{count} process{'es' * (count > 1)} that it left behind had to be ended", level="warning")
        error = failure_of(ending, self._limits, last_words=self.heard.last_words())
        if error is None and ending.result_fault:
            error = TaskError(type="ScriptError", message=ending.result_fault)
        return Failed(error) if error is not None else self._succeeded(ending, result)

    def _succeeded(self, ending: Ending, result: bytes) -> AttemptEnd:
        output: dict[str, Json] = {
            "result": None,
            "stdout": self.heard.stdout.text(),
            "stderr": self.heard.stderr.text(),
            "exit_code": ending.code,
        }
        if result.strip():
            if is_deeper(result, self._max_nesting):
                message = f"the result is nested deeper than {self._max_nesting} levels"
                return Failed(TaskError(type="PayloadTooDeep", message=message, bases=("ScriptError", "ValidationError")))
            try:
                output["result"] = decode(result)
            except (ValueError, RecursionError) as error:
                message = f"what it wrote to the file named by TASK_ENGINE_OUTPUT is no JSON: {error}"
                return Failed(TaskError(type="ScriptError", message=message))
        document = encode(output)
        if len(document) > self._max_payload:
            message = f"the output has {len(document)} bytes, {self._max_payload} are allowed"
            return Failed(TaskError(type="PayloadTooLarge", message=message, bases=_TOO_LARGE))
        return Succeeded(Raw(document))


def failure_of(ending: Ending, limits: Limits, *, last_words: str) -> TaskError | None:
    """What the end of a child means as an error; ``None`` when it ended well."""
    said = f"\n{last_words}" if last_words else ""
    if ending.is_keeper_gone:
        return TaskError(type="ProcessDied", message="the process that kept it was killed, and it with it", bases=("ScriptError",))
    if ending.reason == _RESULT_LIMIT:
        message = f"the result has more than the {limits.result} bytes that are allowed{said}"
        return TaskError(type="PayloadTooLarge", message=message, bases=_TOO_LARGE)
    if ending.reason:
        what = _PASSED.get(ending.reason, "").format(**limits._asdict())
        return TaskError(type="ScriptError", message=f"{ending.reason}: {what}{said}")
    if ending.signal:
        return TaskError(type="ScriptError", message=f"killed by {ending.killer}{said}")
    if ending.code:
        return TaskError(type="ScriptError", message=f"exit code {ending.code}{said}")
    return None


def _refusal(refused: Refused) -> TaskError:
    if refused.is_cage:
        message = f"isolation: {Isolation.STRICT} needs Linux namespaces, and this node has none: {refused.why}"
        return TaskError(type="ExecutorUnavailable", message=message)
    return TaskError(type="ScriptError", message=f"it cannot be started: {refused.why}")

"""What a nested workflow must become, said a second time: a recursive interpreter that knows nothing of events, turns or numbers.

It is told how each attempt of a piece of work is answered, by the path at which it stands, and says how every task ends, what it
gives, and what work is given. Only the evaluation of expressions is shared with the product; what they may see is made here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from taskengine.errors import ExpressionError, LimitError
from taskengine.expr import expression, template, truth
from taskengine.model.value import Json, TaskError, encode
from taskengine.model.workflow import Block, Join, OnError, Step, Success, Workflow
from tests.kernel.oracle import said

Answer = Callable[[str, int], "Json | TaskError"]
ANY_NUMBER = 1_000
CHILD = "ex_a_child"


class End(msgspec.Struct):
    """How a task ended."""

    status: str
    output: Json = None
    error: TaskError | None = None
    outcome: str | None = None
    is_handled: bool = False


class Frame(msgspec.Struct, frozen=True):
    """What the expressions of a block see besides its own steps."""

    steps: Mapping[str, Any]
    names: Mapping[str, Json]  # item, index


class BrokenError(Exception):
    """A step fails because of what it says."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.error = TaskError(type=kind, message=message)


class Interpreter:
    """Runs a workflow to its end at once."""

    def __init__(self, workflow: Workflow, given: Json, answer: Answer) -> None:
        self.workflow = workflow
        self.given = given
        self.answer = answer
        self.ends: dict[str, End] = {}
        self.inputs: dict[str, Json] = {}
        self.attempts: dict[str, int] = {}

    def run(self) -> End:
        """The execution's own end; ``ends`` then holds every task's."""
        frame = Frame({}, {})
        ends = self._steps(self.workflow.steps, "/", frame)
        failures, is_flawed = judged(self.workflow.steps, ends)
        rule = self.workflow.success
        try:
            if not is_strict(rule):
                counted = [End("completed", end.output) if end.is_handled else end for end in ends.values()]
                is_met = self._holds(rule, [counted[list(ends).index(step.id)] for step in self.workflow.steps], frame)
                if not is_met:
                    broken = TaskError(type="SuccessRuleBroken", message="too few steps completed")
                    return End("failed", error=failures[0][1].error if failures else broken)
                is_flawed = is_flawed or bool(failures)
            elif failures:
                return End("failed", error=failures[0][1].error, outcome=failures[0][1].outcome)
        except BrokenError as broken:
            return End("failed", error=broken.error)
        try:
            output = None if self.workflow.output is None else self._render(self.workflow.output, frame, ends, "output")
        except BrokenError as broken:
            return End("failed", error=broken.error)
        return End("completed", output, outcome="partial" if is_flawed else None)

    # ── blocks ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _steps(self, steps: Sequence[Step], path: str, frame: Frame) -> dict[str, End]:
        ends: dict[str, End] = {}
        left = list(steps)
        while left:
            for step in [one for one in left if all(name in ends for name in one.depends_on)]:
                left.remove(step)
                ends[step.id] = self.ends[f"{path}{step.id}/"] = self._step(step, f"{path}{step.id}/", frame, ends)
        for step in steps:
            ends[step.id].is_handled = any(
                ends[step.id].status == "failed"
                and ends[one.id].status == "completed"
                and step.id in one.depends_on
                and one.join in {Join.ANY_FAILED, Join.ALL_DONE}
                and ends[step.id].error.matches(one.handles)  # type: ignore[union-attr]
                for one in steps
            )
        for step in steps:
            end = ends[step.id]
            if end.error is not None and f"{path}{step.id}/" not in end.error.message:
                message = f"{path}{step.id}/ {end.error.message}".rstrip()
                ends[step.id] = msgspec.structs.replace(end, error=msgspec.structs.replace(end.error, message=message))
        return ends

    def _scope(self, block: Block, path: str, frame: Frame) -> End:
        ends = self._steps(block.steps, path, frame)
        self._last = ends
        failures, is_flawed = judged(block.steps, ends)
        end = self.ends[path] = self._given(block, ends, frame, failures, is_flawed=is_flawed)
        return end

    def _given(self, block: Block, ends: dict[str, End], frame: Frame, failures: list[Any], *, is_flawed: bool) -> End:
        if failures:
            return End("failed", error=bare(failures[0][1].error), outcome=failures[0][1].outcome)
        sinks = [step.id for step in block.steps if not any(step.id in one.depends_on for one in block.steps)]
        try:
            if block.output is not None:
                output = self._render(block.output, frame, ends, "output")
            else:
                output = ends[sinks[0]].output if len(sinks) == 1 else {name: ends[name].output for name in sinks}
        except BrokenError as broken:
            return End("failed", error=broken.error)
        return End("completed", output, outcome="partial" if is_flawed else None)

    # ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _step(self, step: Step, path: str, frame: Frame, ends: dict[str, End]) -> End:
        if said(step.join, [ends[name].status for name in step.depends_on]) == "skip":
            return End("skipped")
        try:
            if step.when is not None and not self._is_true(step.when, frame, ends, "when"):
                return End("skipped")
            inside = Frame({**frame.steps, **{name: view(end) for name, end in ends.items()}}, frame.names)
            match step.type:
                case "function" | "workflow":
                    end = self._work(step, path, frame, ends)
                case "condition" | "parallel" | "map" | "loop":
                    end = self._container(step, path, inside)
                case _:
                    end = self._control(step, path, frame, ends)
            if step.output_mapping and end.status == "completed":
                end.output = self._render(step.output_mapping, frame, ends, "output_mapping", output=end.output)
        except BrokenError as broken:
            return End("failed", error=broken.error)
        return end

    def _work(self, step: Step, path: str, frame: Frame, ends: dict[str, End]) -> End:
        is_child = step.type == "workflow"
        self.inputs[path] = self._render(step.input_mapping, frame, ends, "config" if is_child else "input")
        if is_child and "detach" in step.config:
            return End("completed", {"execution_id": CHILD})
        policy = step.retry
        for used in range(1, ANY_NUMBER):
            self.attempts[path] = used
            answer = self.answer(path, used)
            if not isinstance(answer, TaskError):
                return End("completed", answer)
            if used >= policy.max_attempts or answer.is_final or answer.matches(policy.non_retryable_errors):
                return End("failed", error=from_child(answer) if is_child else answer)
        raise AssertionError(path)

    def _control(self, step: Step, path: str, frame: Frame, ends: dict[str, End]) -> End:
        match step.type:
            case "set":
                return End("completed", self._render(step.config, frame, ends, "config"))
            case "fail":
                return End("failed", error=TaskError(type=step.config["type"], message=step.config["message"]))
            case "aggregate":
                return End("completed", 15 if step.config["operation"] == "sum" else 3)
            case "wait" if step.config.get("signal") == "never":
                return End("failed", error=TaskError(type="Timeout", message="the wait timeout passed"), outcome="timed_out")
            case "wait" if "signal" in step.config:
                return End("completed", signal_data(frame.names["index"] if "filter" in step.config else 0))
            case "approval":
                told = self.answer(path, 1)
                if isinstance(told, TaskError):
                    return End("failed", error=TaskError(type="Rejected", message="by ann"))
                return End("completed", {"approved": True, "by": "ann", "comment": "", "data": told})
            case _:
                return End("completed")

    # ── containers ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _container(self, step: Step, path: str, frame: Frame) -> End:
        children: list[End] = []
        match step.type:
            case "condition":
                output = self._condition(step, path, frame, children)
            case "parallel":
                for place, block in enumerate(step.blocks):
                    children.append(self._scope(block, f"{path}{block.name or f'[{place}]'}/", frame))
                names = [block.name or f"[{place}]" for place, block in enumerate(step.blocks)]
                output = dict(zip(names, [child.output for child in children], strict=True))
            case _ if "items" in step.config:
                output = self._each(step, path, frame, children)
            case _:
                output = self._repeat(step, path, frame, children)
        return self._end(step, path, frame, children, output)

    def _condition(self, step: Step, path: str, frame: Frame, children: list[End]) -> Json:
        for place, block in enumerate(step.blocks):
            if block.when is None or self._is_true(block.when, frame, {}, "config"):
                segment = block.name or ("else" if block.when is None else f"[{place}]")
                children.append(self._scope(block, f"{path}{segment}/", frame))
                return children[0].output
        return None

    def _each(self, step: Step, path: str, frame: Frame, children: list[End]) -> Json:
        config: Any = self._render(step.config, frame, {}, "config")
        items, size = config["items"], config.get("batch_size", 0)
        if not isinstance(items, list):
            raise BrokenError("ValidationError", "config: items is a list")
        things = [items[at : at + size] for at in range(0, len(items), size)] if size > 1 else items
        stops = step.type == "loop" and is_strict(step.success) and config.get("max_concurrency", 1) == 1
        for index, item in enumerate(things):
            if stops and children and children[-1].status != "completed":
                break
            names = {"item": item, "index": index}
            children.append(self._scope(step.blocks[0], f"{path}[{index}]/", Frame(frame.steps, names)))
        return [child.output for child in children]

    def _repeat(self, step: Step, path: str, frame: Frame, children: list[End]) -> Json:
        word = "until" if "until" in step.config else "while"
        self._last = {one.id: End("pending") for one in step.blocks[0].steps}
        while True:
            output = children[-1].output if children else None
            if children and children[-1].status != "completed" and is_strict(step.success):
                return output
            if children or word == "while":
                names = {"index": len(children)}
                told = Frame(frame.steps, names)
                if self._is_true(step.config[word], told, self._last, word, output=output) == (word == "until"):
                    return output
            if len(children) >= step.config["max_iterations"]:
                limit = step.config["max_iterations"]
                raise BrokenError("LimitReached", f"{len(children)} iterations and no end: max_iterations is {limit}")
            child = self._scope(step.blocks[0], f"{path}[{len(children)}]/", Frame(frame.steps, {"index": len(children)}))
            children.append(child)

    def _end(self, step: Step, path: str, frame: Frame, children: list[End], output: Json) -> End:
        failed = [child for child in children if child.status == "failed"]
        is_met = not failed if is_strict(step.success) else self._holds(step.success, children, frame)
        if is_met:
            is_partial = bool(failed) or any(child.outcome for child in children)
            return End("completed", output, outcome="partial" if is_partial else None)
        if not failed:
            return End("failed", error=TaskError(type="SuccessRuleBroken", message="too few completed"))
        error = self._where(path, failed[0])
        if len(children) > 1:
            message = f"{len(failed)} of {len(children)} failed, the first: {error.message}"
            error = msgspec.structs.replace(error, message=message)
        return End("failed", error=error, outcome=failed[0].outcome)

    def _where(self, path: str, child: End) -> TaskError:
        at = next(place for place, end in self.ends.items() if end is child)
        error = bare(child.error)
        message = error.message if at in error.message else f"{at} {error.message}".rstrip()
        return TaskError(type=error.type, message=message, bases=error.bases)

    def _holds(self, rule: Success | None, children: Sequence[End], frame: Frame) -> bool:
        assert rule is not None
        counts = {
            status: sum(end.status == status for end in children) for status in ("completed", "failed", "cancelled", "skipped")
        }
        fine = counts["completed"]  # what was skipped by itself has done nothing
        if rule.at_least is not None:
            return fine >= rule.at_least
        if rule.percent is not None:
            return fine * 100 >= rule.percent * len(children)
        results = [{"status": end.status, "output": end.output} for end in children]
        told = {"total": len(children), **counts, "results": results}
        assert rule.when is not None
        return self._is_true(rule.when, frame, {}, "success", children=told)

    # ── expressions ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _sight(self, frame: Frame, ends: Mapping[str, End], **more: Any) -> bytes:
        steps = {**frame.steps, **{name: view(end) for name, end in ends.items()}}
        return encode({"input": self.given, "steps": steps, **frame.names, **more})

    def _is_true(self, text: str, frame: Frame, ends: Mapping[str, End], place: str, **more: Any) -> bool:
        try:
            return truth(expression(text, extra_roots=tuple(more)), self._sight(frame, ends, **more))
        except (ExpressionError, LimitError) as error:
            raise BrokenError("ExpressionError", f"{place}: {error}") from error

    def _render(self, value: Any, frame: Frame, ends: Mapping[str, End], place: str, **more: Any) -> Json:
        try:
            return template(value, extra_roots=tuple(more)).render(self._sight(frame, ends, **more))
        except (ExpressionError, LimitError) as error:
            raise BrokenError("ExpressionError", f"{place}: {error}") from error


def judged(steps: Sequence[Step], ends: Mapping[str, End]) -> tuple[list[tuple[Step, End]], bool]:
    """The unhandled failures that fail a block, in the order of the document; and whether something else went wrong."""
    failed = [(step, ends[step.id]) for step in steps if ends[step.id].status == "failed" and not ends[step.id].is_handled]
    failures = [(step, end) for step, end in failed if step.on_error is OnError.FAIL]
    is_partial = any(end.status == "completed" and end.outcome for end in ends.values())
    return failures, len(failures) < len(failed) or is_partial


def is_strict(rule: Success | None) -> bool:
    """Whether one failure breaks it."""
    return rule is None or rule == Success()


def from_child(error: TaskError) -> TaskError:
    """As the step that started it tells it."""
    return msgspec.structs.replace(error, message=f"{CHILD}: {error.message}")


def bare(error: TaskError | None) -> TaskError:
    """As it is told further up: what it was and where, nothing about trying again."""
    assert error is not None
    return TaskError(type=error.type, message=error.message, bases=error.bases)


def view(end: End) -> dict[str, Any]:
    """A step as others see it."""
    seen: dict[str, Any] = {"status": end.status, "error": None if end.error is None else {"type": end.error.type}}
    if end.status in {"completed", "skipped", "pending"}:
        seen["output"] = end.output
    return seen


def signal_data(index: Json) -> Json:
    """What the signal for an iteration says; who waits outside of any takes that of the first."""
    return {"i": index, "x": index}

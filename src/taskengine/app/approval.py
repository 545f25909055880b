"""What people who are asked have to know: the form of their answer, and how they give it. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from json import dumps
from shlex import quote
from typing import Any, Final, cast

import msgspec

from taskengine.kernel.approval import approvers_of, is_asking
from taskengine.kernel.plan import BlockPlan, Plan, StepPlan
from taskengine.kernel.scope import UNDO
from taskengine.kernel.state import Execution
from taskengine.kernel.timing import Clock
from taskengine.wire.execution import Question
from taskengine.wire.instant import iso_instant

__all__ = ["decision_commands", "form_at", "in_words", "question", "until_when", "wanted_by"]


class _Asked(msgspec.Struct, frozen=True):
    """Of the rendered config: what people read."""

    message: str = ""


_asked: Final = msgspec.json.Decoder(_Asked)


def form_at(plan: Plan, path: str) -> Mapping[str, Any] | None:
    """The form of the approval at a path of any execution of a plan; nothing where there is none, or no such step."""
    step = _step_at(plan, path)
    return step.step.config.get("form") if step is not None and step.step.type == "approval" else None


def _step_at(plan: Plan, path: str) -> StepPlan | None:
    """The step at a path, whichever scopes an execution has opened: ids and scopes take turns in it."""
    block: BlockPlan = plan
    step: StepPlan | None = None
    for place, segment in enumerate(path.strip("/").split("/")):
        if place % 2 == 0:
            number = block.by_id.get(segment)
            if number is None:
                return None
            step = block.steps[number]
        else:
            assert step is not None
            if segment == UNDO:
                return step.compensation
            named = {one.name or f"[{index}]": one for index, one in enumerate(step.blocks)}
            body = step.blocks[0] if step.step.type in {"map", "loop"} else named.get(segment)
            if body is None:
                return None
            block, step = body, None
    return step


def until_when(state: Execution, number: int) -> str:
    """`` until …``: when nobody can decide any more; empty where there is no end, or the clock stands still."""
    due_at = state.timers.due.get((number, Clock.WAIT)) if is_asking(state, number) and not state.is_paused else None
    return "" if due_at is None else f" until {iso_instant(due_at + state.paused_ms)}"


def question(state: Execution, number: int) -> Question | None:
    """What a task asks people now; nothing when it asks nobody."""
    if not is_asking(state, number):
        return None
    asked = _asked.decode(state.live[number].input)
    form = state.steps[number].step.config.get("form")  # a schema, which is not rendered
    return Question(message=asked.message, form=form, approvers=list(approvers_of(state, number)))


def in_words(asked: Question) -> str:
    """The message, and what the form wants: ``pay 3? (asks for amount: integer, note: string or nothing)``."""
    wanted = wanted_by(asked)
    return " ".join(part for part in (asked.message, f"(asks for {wanted})" if wanted else "") if part)


def wanted_by(asked: Question) -> str:
    """The data that a form names: ``amount: integer, note: string or nothing``."""
    required = _required(asked)
    kinds = {name: _kind(one) for name, one in _properties(asked).items()}
    kinds |= {name: _kind(None) for name in required if name not in kinds}
    return ", ".join(f"{name}: {kind}{'' if name in required else ' or nothing'}" for name, kind in kinds.items())


def decision_commands(state: Execution, number: int, *, flag: str) -> list[str]:
    """What approves and what rejects, to be pasted; where a form wants data, what stands in <> is to be filled in."""
    target = quote(f"{state.execution_id}{state.path_of(number).rstrip('/')}")
    asked = question(state, number)
    by = f" --by {quote(asked.approvers[0])}" if asked is not None and asked.approvers else ""
    data = f" --data {quote(_template(asked))}" if asked is not None and _required(asked) else ""
    return [f"task-engine task approve {target}{by}{data}{flag}", f"task-engine task reject {target}{by}{flag}"]


def _template(asked: Question) -> str:
    """JSON with a place for each value that the form cannot do without. It is no JSON until they are filled in."""
    properties = _properties(asked)
    return "{" + ", ".join(f"{dumps(name)}: <{_kind(properties.get(name))}>" for name in _required(asked)) + "}"


def _required(asked: Question) -> list[str]:
    names: object = _form(asked).get("required")
    return [name for name in cast("list[object]", names) if isinstance(name, str)] if isinstance(names, list) else []


def _properties(asked: Question) -> Mapping[str, Any]:
    found: object = _form(asked).get("properties")
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}


def _form(asked: Question) -> Mapping[str, Any]:
    form: object = asked.form
    return cast("Mapping[str, Any]", form) if isinstance(form, dict) else {}


def _kind(declared: object) -> str:
    """The type that a part of a form declares, else ``value``."""
    found: object = cast("Mapping[str, Any]", declared).get("type") if isinstance(declared, dict) else None
    return found if isinstance(found, str) else "value"

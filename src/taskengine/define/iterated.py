"""``item`` and ``index`` of a body that was traced, as its steps can read them.

In a document both are those of the nearest map or loop around; in a program a function sees the variables of all functions around
it. So each body's are marked while it is traced, and settled here when it has been: read in the body itself they are what they are
called; what is read of them inside of a further map or loop is kept in a step of the body, whose output is seen there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec

from taskengine.define.given import is_list, is_mapping
from taskengine.define.phrase import quoted
from taskengine.define.placeholder import MARKED
from taskengine.define.scopes import ITERATING
from taskengine.errors import DefinitionError
from taskengine.model.workflow import Block, Join, Step, Success

__all__ = ["leaked", "settled"]

_TEXTS: Final = ("when", "config", "input_mapping", "output_mapping", "success", "compensate")
_ROUNDS: Final = ("while", "until")  # of a loop's config: they are judged inside of it


def settled(block: Block, body: int, *, name: Callable[[], str]) -> Block:
    """The block with the marks of this body read where they stand. ``name`` gives an id for the step that keeps them."""
    settling = _Settling(body, name)
    steps = [settling.step(step) for step in block.steps]
    output = settling.value(block.output)
    kept = settling.kept()
    return msgspec.structs.replace(block, steps=(*kept, *steps), output=output)


def leaked(value: object) -> str:
    """A name in the value that is the item or index of a body, read where that is not seen; empty when there is none."""
    if isinstance(value, str):
        found = MARKED.search(value)
        return found.group(1) if found else ""
    if isinstance(value, msgspec.Struct):
        return leaked([getattr(value, name) for name in value.__struct_fields__])
    if is_mapping(value):
        return leaked(list(value.values()))
    items = value if is_list(value) else cast("tuple[object, ...]", value) if isinstance(value, tuple) else ()
    return next((name for item in items if (name := leaked(item))), "")


class _Settling:
    """One body."""

    def __init__(self, body: int, name: Callable[[], str]) -> None:
        self._body = str(body)
        self._name = name
        self._keeper = ""  # the step of the body that keeps what is read further inside
        self._far: set[str] = set()  # of item and index, what it keeps
        self._is_far = False  # whether what is looked at now is inside of a further map or loop
        self._has_far = False  # whether the step at hand reads what is kept

    def kept(self) -> tuple[Step, ...]:
        """The step that keeps what is read further inside; none where nothing is."""
        if not self._keeper:
            return ()
        return (Step(id=self._keeper, type="noop", output_mapping={name: f"{{{{ {name} }}}}" for name in sorted(self._far)}),)

    def step(self, step: Step) -> Step:
        """A step of the body itself."""
        self._has_far = False
        found: Step = self.value(step)
        if not self._has_far:
            return found
        if step.join is Join.ANY_SUCCESS and step.depends_on:
            message = f"step {quoted(step.id)} reads the item of the map around inside of itself, and has the join any_success"
            raise DefinitionError("hidden_item", message, hint="let a task before it give what is read, or use another join")
        return msgspec.structs.replace(found, depends_on=(self._keeper, *found.depends_on))

    def value(self, value: Any) -> Any:
        """The value, of whatever kind, with the marks of the body read."""
        if isinstance(value, str):
            return MARKED.sub(self._read, value)
        if is_mapping(value):
            return {key: self.value(item) for key, item in value.items()}
        if is_list(value):
            return [self.value(item) for item in value]
        if isinstance(value, Step):
            changes: dict[str, Any] = {name: self.value(getattr(value, name)) for name in _TEXTS}
            changes["blocks"] = tuple(self._block(block, is_repeated=value.type in ITERATING) for block in value.blocks)
            if value.type == "loop":
                changes["config"] |= {key: self._inside(value.config[key]) for key in _ROUNDS if key in value.config}
            return msgspec.structs.replace(value, **changes)
        if isinstance(value, Success):
            return msgspec.structs.replace(value, when=self.value(value.when))
        return value

    def _block(self, block: Block, *, is_repeated: bool) -> Block:
        look = self._inside if is_repeated else self.value
        steps = tuple(look(step) for step in block.steps)
        return msgspec.structs.replace(block, when=self.value(block.when), steps=steps, output=look(block.output))

    def _inside(self, value: Any) -> Any:
        was, self._is_far = self._is_far, True
        found = self.value(value)
        self._is_far = was
        return found

    def _read(self, found: re.Match[str]) -> str:
        name, body = found.groups()
        if body != self._body:
            return found.group()
        if not self._is_far:
            return name
        self._keeper = self._keeper or self._name()
        self._far.add(name)
        self._has_far = True
        return f"steps.{self._keeper}.output.{name}"

"""Tasks and words that the tests of traced workflows share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from taskengine import Step, Workflow, task, workflow
from taskengine.errors import DefinitionError

__all__ = ["double", "note", "refused", "steps_of", "traced"]


@task(register_as="double")
def double(number: int) -> int:
    return 2 * number


@task(register_as="note")
def note(text: Any = "", **more: Any) -> Any:
    return text


def traced(function: Callable[..., object], **settings: Any) -> Workflow:
    """The workflow that the function declares."""
    return workflow(name="w", **settings)(function).workflow


def steps_of(function: Callable[..., object]) -> dict[str, Step]:
    """Its steps, those inside of others too, by id."""
    return {one.id: one for one in traced(function).every_step() if one.id}


def refused(function: Callable[..., object], **settings: Any) -> DefinitionError:
    """Why the function cannot be declared."""
    with pytest.raises(DefinitionError) as caught:
        traced(function, **settings)
    return caught.value

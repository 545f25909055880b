"""Texts that look like templates and are none cost no more than their length."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from taskengine.expr import template


def calls_of(work: Callable[[], object]) -> int:
    """Count what Python and C functions are called: a measure that no busy machine changes."""
    count = 0

    def seen(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("mark", ["{%", "{#", "${#x} "])
def test_marks_that_are_never_closed_are_text_and_cost_a_step_each(mark: str) -> None:
    assert template(mark * 2_000).render(b"{}") == mark * 2_000
    once, ten_times = calls_of(lambda: template(mark * 2_001)), calls_of(lambda: template(mark * 20_010))
    assert ten_times < 11 * once


@pytest.mark.parametrize("text", ["{% if x %}", "{# note #}", "a {% b %} {{ input.x }}"])
def test_marks_that_are_closed_are_refused(text: str) -> None:
    with pytest.raises(Exception, match="a template has no"):
        template(text)

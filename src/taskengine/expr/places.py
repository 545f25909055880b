"""Where an error stands: in which text of a value, and at which character of the text."""

from __future__ import annotations

from taskengine.errors import TaskEngineError

__all__ = ["add_place", "tell_within"]


def tell_within(text: str, start: int, *, error: TaskEngineError) -> None:
    """Tell an expression's error in terms of the text around the expression."""
    offset = error.facts.get("offset")
    error.facts.update(source=text, offset=start + offset if isinstance(offset, int) else start)


def add_place(error: TaskEngineError, key: str | int) -> None:
    """Add one more step to the way from the whole value to the text that an error is about."""
    place = error.facts.get("place", ())
    assert isinstance(place, tuple)
    error.facts["place"] = (key, *place)

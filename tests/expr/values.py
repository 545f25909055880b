"""What the tests of expressions share: a context, and how to ask for a value or an error."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from taskengine.errors import ExpressionError, LimitError
from taskengine.expr import expression

CONTEXT: dict[str, Any] = {
    "input": {"x": 3, "y": 2.5, "big": 2**63, "s": "abc", "empty": "", "flag": True, "n": None, "l": [3, 1, 2], "a b": 7},
    "steps": {
        "load": {"output": {"rows": 12, "items": ["a", "b"], "status": "ok"}, "status": "completed"},
        "skip": {"output": None, "status": "skipped"},
    },
    "item": {"keys": 1, "items": 2, "in": 3, "clear": 4, "größe": 5},
    "index": 1,
    "variables": {
        "people": [{"name": "bo", "age": 40, "at": {"home": True}}, {"name": "al", "age": 30, "at": {"home": False}}],
        "words": ["b", "a", "b"],
        "floats": [1.5, 2, 0.5],
        "mixed": [1, "1"],
        "nothing": [],
    },
}
DOCUMENT = msgspec.json.encode(CONTEXT)


def value(source: str, context: Any = None) -> Any:
    """Return the value of an expression in the context."""
    return expression(source).evaluate(DOCUMENT if context is None else msgspec.json.encode(context))


def refusal(source: str, **options: Any) -> ExpressionError:
    """Return the error that compiling raises."""
    with pytest.raises(ExpressionError) as caught:
        expression(source, **options)
    assert caught.value.facts["source"] == source
    return caught.value


def failure(source: str, context: Any = None) -> ExpressionError:
    """Return the error that evaluating raises; compiling must not."""
    compiled = expression(source)
    with pytest.raises(ExpressionError) as caught:
        compiled.evaluate(DOCUMENT if context is None else msgspec.json.encode(context))
    assert caught.value.facts["source"] == source
    return caught.value


def limit(source: str) -> LimitError:
    """Return the error of a bound that compiling raises."""
    with pytest.raises(LimitError) as caught:
        expression(source)
    actual, most = caught.value.facts["actual"], caught.value.facts["limit"]
    assert isinstance(actual, int)
    assert isinstance(most, int)
    assert actual > most
    return caught.value

"""The examples in the docstrings of the test kit print what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    ("name", "examples"), [("history", 6), ("replaying", 5), ("explorer", 7), ("virtual.steps", 5), ("virtual.threads", 3)]
)
def test_the_examples_of_a_module_print_what_they_say(name: str, examples: int) -> None:
    module = importlib.import_module(f"taskengine.testing.{name}")
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    assert result.failed == 0
    assert result.attempted == examples

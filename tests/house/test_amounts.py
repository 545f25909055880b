"""How much a suite does follows from the name of the suite, and a wrong name is not taken for a small one."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.amounts import VARIABLE, amount
from tests.conftest import EXAMPLES, profile


@pytest.mark.parametrize("value", ["", "test"])
def test_the_ordinary_suite_does_the_small_amount(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, value)
    assert amount(test=3, nightly=1_000) == 3


def test_the_nightly_suite_does_the_large_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "nightly")
    assert amount(test=3, nightly=1_000) == 1_000
    assert profile() == "nightly"


def test_an_unknown_suite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "nightli")
    with pytest.raises(ValueError, match="'nightli'"):
        amount(test=3, nightly=1_000)


@pytest.mark.parametrize(("ci", "expected"), [("true", "ci"), ("", "dev")])
def test_ci_searches_more_than_a_person_trying_something(ci: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("CI", ci)
    assert profile() == expected


def test_the_profile_that_runs_is_the_one_of_this_process() -> None:
    assert settings.default is not None
    assert settings.default.max_examples == EXAMPLES[profile()]
    assert settings.default.deadline is None

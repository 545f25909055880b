"""Decisions in virtual time, and histories of them replayed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taskengine.testing import History, replay
from tests.histories.shapes import decisions, undone


def test_a_virtual_execution_is_decided_skipped_and_undone() -> None:
    history = decisions()
    history.completed()
    assert history.attempts("ok") == 2
    assert undone().status == "cancelled"


@pytest.mark.parametrize("shape", [decisions, undone])
def test_what_people_decided_is_decided_alike_when_it_is_replayed(shape: Callable[[], History], tmp_path: Path) -> None:
    assert replay(shape().record(tmp_path / "history.jsonl")) is not None

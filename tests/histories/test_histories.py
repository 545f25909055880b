"""Guarantee 18, replays agree: every recorded history folds to the state that it folded to when it was recorded.

The files are made by ``shapes.py`` and never changed. That today's kernel also decides alike is a second test: a later version may
decide otherwise, but may never read a history differently.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from taskengine.model.event import EVENT_TYPES
from taskengine.testing import History, histories, replay
from taskengine.testing.recording import read_recording
from tests.histories.shapes import WEATHER

FILES = histories(Path(__file__).parent)
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


@EACH
def test_a_recorded_history_folds_to_the_state_it_folded_to_then(file: Path) -> None:
    assert isinstance(replay(file, folds_only=True), History)


@EACH
def test_the_kernel_of_today_decides_alike(file: Path) -> None:
    replay(file)


@EACH
def test_a_history_that_lost_its_last_event_does_not_agree(file: Path, tmp_path: Path) -> None:
    lines = file.read_bytes().splitlines()
    shorter = tmp_path / file.name
    shorter.write_bytes(b"\n".join([*lines[:-2], lines[-1]]))
    with pytest.raises(AssertionError, match=file.name):
        replay(shorter, folds_only=True)


def test_the_weather_pipeline_of_today_still_fits_its_history() -> None:
    history = replay(Path(__file__).parent / "weather.jsonl", WEATHER / "weather.yaml")
    history.order("validate", "year_2013", "combine", "load", "chart", "report")
    assert history.output["rejected"] == 20


def test_the_histories_hold_every_kind_of_event() -> None:
    held = {type(event) for file in FILES for event in read_recording(file).events}
    assert len(FILES) >= 10
    assert {kind.__name__ for kind in set(EVENT_TYPES) - held} == set()

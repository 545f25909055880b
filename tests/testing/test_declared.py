"""The test kit takes what a program declared as it takes a workflow: everywhere the same object."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from taskengine.testing import explore_crashes, replay, virtual_engine
from tests.testing.workflows import declared


def test_a_decorated_workflow_is_run_mocked_recorded_replayed_and_crashed(tmp_path: Path) -> None:
    with virtual_engine() as engine:
        ended = engine.run(declared, params={"source": "file"})
        assert ended.output == 9
        assert ended.history.took("total") == timedelta(minutes=1)
        engine.step("extract").returns([1])
        assert engine.run(declared, params={"source": "file"}).output == 1
    assert replay(ended.history.record(tmp_path / "declared.jsonl"), declared).output == 9
    found = explore_crashes(declared, {"source": "file"})
    assert (found.points, found.history.output) == (6, 9)

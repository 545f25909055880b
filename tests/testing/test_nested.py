"""Tests of workflows with steps inside of others: named by path, mocked by id or path, replayed and explored as any."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskengine.define import load_text
from taskengine.errors import ConflictError, NotFoundError
from taskengine.model.workflow import Workflow
from taskengine.testing import History, HistoryError, explore_crashes, replay, virtual_engine

DOCUMENT = """
name: nested
steps:
  - id: each
    type: map
    config: {items: [a, b, c], max_concurrency: 2}
    success: any
    steps:
      - {id: load, type: function, config: {function: load}}
      - {id: keep, type: function, depends_on: [load], config: {function: keep}}
    output: "{{ steps.load.output }}"
  - id: check
    type: condition
    depends_on: [each]
    cases: [{when: "true", name: taken, steps: [{id: only, type: function, config: {function: keep}}]}]
output: "{{ steps.each.output }}"
"""
NESTED: Workflow = load_text(DOCUMENT, file="nested.yaml").require()


def load(item: str, index: int) -> str:
    return f"{index}{item}"


def keep() -> None:
    """Nothing."""


FUNCTIONS = {"load": load, "keep": keep}


@pytest.fixture(scope="module")
def history() -> History:
    with virtual_engine(functions=FUNCTIONS) as engine:
        engine.step("each/[1]/load").raises(ValueError("no b"))
        return engine.run(NESTED).history


def test_claims_name_tasks_by_their_paths(history: History) -> None:
    history.completed("each", "/each/[0]/load/", "each/[2]/keep", "check/taken/only", "only")
    history.failed("each/[1]/load", error="ValueError")
    history.skipped("each/[1]/keep")
    history.order("each/[0]/load", "each/[0]/keep", "check")
    history.ran("each/[2]/load", times=1)
    assert history.output_of("each/[2]/load") == "2c"
    assert history.output == ["0a", None, "2c"]
    assert history.steps[:3] == ["each", "each/[0]/load", "each/[1]/load"]
    assert "each/[1]/load     failed for good: ValueError no b" in history.story()
    assert "each/[0]   " not in history.story()


@pytest.mark.parametrize(
    ("name", "said"),
    [("load", "3 tasks of .* are of the step"), ("each/[7]/load", "none was opened at that path"), ("lod", 'no step "lod"\n')],
)
def test_a_name_that_means_no_task_or_several_is_refused(history: History, name: str, said: str) -> None:
    with pytest.raises(NotFoundError, match=said) as refused:
        history.completed(name)
    assert "load" in refused.value.hint


def test_a_claim_that_does_not_hold_tells_the_story_of_the_tree(history: History) -> None:
    with pytest.raises(HistoryError, match=r"(?s)each/\[1\]/load should be completed, it is failed.*each +begins"):
        history.completed("each/[1]/load")


def test_a_mock_is_for_all_tasks_of_a_step_or_for_one_path() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        every, second = engine.step("load"), engine.step("/each/[1]/load/")
        every.returns("mocked")
        second.returns("second")
        engine.run(NESTED).history.completed()
        assert engine.run(NESTED).output == ["mocked", "second", "mocked"]
        assert [call.path for call in every.calls[:2]] == ["/each/[0]/load/", "/each/[2]/load/"]


@pytest.mark.parametrize(
    ("name", "error"), [("each/[0]/lod", NotFoundError), ("check", ConflictError), ("each/load", NotFoundError)]
)
def test_a_mock_of_nothing_is_refused(name: str, error: type[Exception]) -> None:
    def run() -> None:
        with virtual_engine(functions=FUNCTIONS) as engine:
            engine.step(name).returns(1)
            engine.run(NESTED)

    with pytest.raises(error):
        run()


def test_a_recorded_tree_replays(history: History, tmp_path: Path) -> None:
    again = replay(history.record(tmp_path / "nested.jsonl"), NESTED)
    again.failed("each/[1]/load")
    assert again.story() == history.story()


def test_every_crash_of_a_small_tree_ends_alike() -> None:
    assert explore_crashes(NESTED, functions=FUNCTIONS).points > len(NESTED.steps)

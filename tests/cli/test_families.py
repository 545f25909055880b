"""Executions that start others, under ``run``: killed, interrupted, and controlled by another process."""

from __future__ import annotations

import time

import pytest

from tests.cli.programs import PATIENCE_S, Folder

pytestmark = pytest.mark.processes

OUTER = """
name: outer
steps:
  - {id: between, type: workflow, config: {workflow: inner}}
output: "{{ steps.between.output }}"
"""
INNER = """
name: inner
steps:
  - {id: below, type: workflow, config: {workflow: gated}}
output: "{{ steps.below.output }}"
"""
ASKING = """
name: asking
business_key: order-7
steps:
  - {id: paid, type: wait, config: {signal: paid}}
  - {id: fine, type: approval, depends_on: [paid], config: {message: "Is it fine?"}}
  - {id: after, type: function, depends_on: [fine], config: {function: "steps:mark"}}
"""
ASKED = """
name: asked
steps:
  - {id: below, type: workflow, config: {workflow: asking}}
"""


@pytest.fixture
def family(folder: Folder) -> Folder:
    """A grandchild that stands at the gate, and a child that asks people."""
    for name, text in (("outer", OUTER), ("inner", INNER), ("asking", ASKING), ("asked", ASKED)):
        (folder.path / f"{name}.yaml").write_text(text, encoding="utf-8")
    for name in ("gated", "inner", "asking"):
        assert folder.run("workflow", "upload", f"{name}.yaml").code == 0
    return folder


def until(folder: Folder, mark: str) -> None:
    """Wait until a step of whatever execution has left its mark."""
    give_up_at = time.monotonic() + PATIENCE_S
    while mark not in folder.marks:
        assert time.monotonic() < give_up_at, f"no {mark}, only {folder.marks}"
        folder.run("instance", "list")  # paced by a look


def test_a_run_that_was_killed_while_a_grandchild_worked_goes_on_with_all_of_them(family: Folder) -> None:
    running = family.start("run", "outer.yaml")
    until(family, "middle 1")
    running.kill()
    resumed = family.start("run", "--resume")
    until(family, "middle 2")
    family.open_gate("after the crash")
    ended = resumed.end()
    assert (ended.code, ended.data) == (0, {"middle": "after the crash"})
    assert family.marks == ["before 1", "middle 1", "middle 2", "after 1"]


def test_a_run_that_was_interrupted_twice_goes_on_with_all_of_them(family: Folder) -> None:
    running = family.start("run", "outer.yaml", "--grace", "10m")
    until(family, "middle 1")
    running.interrupt()
    running.until("stopping:")
    running.interrupt()
    assert running.end().code == 130
    resumed = family.start("run", "--resume")
    until(family, "middle 2")
    family.open_gate()
    assert resumed.end().code == 0
    assert family.marks == ["before 1", "middle 1", "middle 2", "after 1"]


@pytest.mark.parametrize("task", [(), ("--task", "between")])
def test_a_pause_and_a_resume_from_another_process_reach_a_grandchild_that_goes_on(family: Folder, task: tuple[str, ...]) -> None:
    running = family.start("run", "outer.yaml")
    until(family, "middle 1")
    assert family.run("instance", "pause", "@latest", *task).code == 0
    family.open_gate()
    assert "after 1" not in family.marks
    assert family.run("instance", "resume", "@latest", *task).code == 0
    assert running.end().code == 0
    assert family.marks == ["before 1", "middle 1", "after 1"]


def test_signals_and_decisions_of_other_processes_reach_a_child_of_a_living_run(family: Folder) -> None:
    running = family.start("run", "asked.yaml")
    running.until("step=below status=waiting")
    give_up_at = time.monotonic() + PATIENCE_S
    while family.run("instance", "signal", "key:order-7", "paid").code != 0:
        assert time.monotonic() < give_up_at, "the child does not begin"
    while family.run("task", "approve", "key:order-7/fine").code != 0:
        assert time.monotonic() < give_up_at, "the run does not go on with what it was told"
    assert running.end().code == 0
    assert family.marks == ["after 1"]

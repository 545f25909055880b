"""Approving, rejecting, skipping and undoing from the command line, and what is said on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from taskengine.cli.main import cli

APPROVAL = """
name: pay
steps:
  - id: ok
    type: approval
    config:
      approvers: [ann, bob]
      message: pay?
      form: {type: object, required: [amount], properties: {amount: {type: integer}}}
      deadline: 1h
  - {id: sent, type: noop, depends_on: [ok]}
output: "{{ steps.ok.output.data.amount }}"
"""
TRIP = """
name: trip
on_failure: compensate
steps:
  - id: book
    type: function
    config: {function: "trip:book"}
    compensate: {type: function, config: {function: "trip:unbook"}}
  - {id: pay, type: function, depends_on: [book], config: {function: "trip:pay"}}
"""
HOLIDAY = """
name: trip
steps:
  - {id: book, type: noop, compensate: {type: function, config: {function: "trip:unbook"}}}
  - {id: pay, type: wait, depends_on: [book], config: {signal: paid, deadline: 1h}}
"""
FUNCTIONS = """
def book(): return 7
def unbook(): return "gone"
def pay(): raise ValueError("no money")
"""
Ask = Callable[..., Result]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.chdir(tmp_path)
    for name in ("TASK_ENGINE_DB", "TASK_ENGINE_BY", "TASK_ENGINE_ASCII"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "pay.yaml").write_text(APPROVAL)
    (tmp_path / "trip.yaml").write_text(TRIP)
    (tmp_path / "trip.py").write_text(FUNCTIONS)
    return lambda *words: CliRunner().invoke(cli, words)


def data(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def asking(ask: Ask) -> Ask:
    assert ask("run", "pay.yaml", "--timeout", "0.1s").exit_code == 124
    return ask


def test_the_lines_of_a_run_say_who_is_asked(ask: Ask) -> None:
    told = ask("run", "pay.yaml", "--timeout", "0.1s", "--plain").stderr
    assert re.search(r'step=ok status=waiting approvers="ann, bob"', told)


def test_status_and_explain_say_whose_decision_is_waited_for_and_how_it_is_given(asking: Ask) -> None:
    status = asking("instance", "status", "@latest").stdout
    assert re.search(r"ok +waiting .* waits for the decision of ann, bob until 20\S+Z", status)
    explained = asking("instance", "explain", "@latest")
    assert "waits for the decision of ann, bob: pay? (asks for amount: integer)\n" in explained.stdout
    assert re.search(r"""next: task-engine task approve ex_\w+/ok --by ann --data '{"amount": <integer>}'\n""", explained.stderr)
    assert re.search(r"next: task-engine task reject ex_\w+/ok --by ann\n", explained.stderr)
    (reason, _) = data(asking("instance", "explain", "@latest", "-o", "json"))["reasons"]
    assert (reason["kind"], reason["until"][:2]) == ("approval", "20")
    detail = data(asking("instance", "status", "@latest", "--task", "ok", "-o", "json"))
    assert [line["text"] for line in detail["story"]] == ["asks for a decision", "timer set"]


def test_an_approval_is_given_with_data_by_whom_it_was_asked(asking: Ask) -> None:
    refused = asking("task", "approve", "@latest/ok", "--by", "eve", "--data", '{"amount": 3}')
    assert (refused.exit_code, "hint: ask ann, bob" in refused.stderr) == (5, True)
    unfit = asking("task", "approve", "@latest/ok", "--by", "ann", "--data", '{"amount": "x"}')
    assert unfit.exit_code == 8
    assert "data.amount" in unfit.stderr
    assert asking("task", "approve", "@latest/ok", "--data", "{amount: 3}").exit_code == 8
    given = asking("task", "approve", "@latest/ok", "--by", "ann", "--comment", "fine", "--data", '{"amount": 3}')
    assert (given.exit_code, given.stdout.endswith("approved /ok/\n")) == (0, True)
    detail = data(asking("instance", "status", "@latest", "--task", "ok", "-o", "json"))
    assert detail["story"][-2]["text"] == "timer cancelled"
    assert "approved by ann: fine" in [line["text"] for line in detail["story"]]
    assert data(asking("instance", "status", "@latest", "-o", "json"))["output"] == 3
    assert asking("task", "reject", "@latest/ok", "--by", "ann").exit_code == 5


def test_a_rejection_needs_no_data_and_can_be_skipped(asking: Ask) -> None:
    task = asking("instance", "tasks", "@latest", "-o", "name").stdout.split()[0]
    rejected = asking("task", "reject", task, "--by", "bob", "--comment", "too dear")
    assert (rejected.exit_code, rejected.stdout.endswith(f"rejected {task}\n")) == (0, True)
    status = asking("instance", "status", "@latest").stdout
    assert "Rejected: " in status
    assert "too dear" in status
    skipped = asking("task", "skip", "@latest/ok", "--reason", "said yes by phone", "--by", "bob")
    assert (skipped.exit_code, skipped.stdout.endswith("goes on without /ok/\n")) == (0, True)
    assert re.search(r"ok +skipped .* by bob: said yes by phone", asking("instance", "status", "@latest").stdout)


def test_what_cannot_be_skipped_says_so(asking: Ask) -> None:
    refused = asking("task", "skip", "@latest/absent")
    assert refused.exit_code == 3
    assert asking("task", "skip", "@latest/sent").exit_code == 0
    again = asking("task", "skip", "@latest/sent", "-o", "json")
    assert (again.exit_code, "task_already_finished" in again.stderr) == (5, True)


def test_what_is_undone_is_told_line_by_line_and_is_not_tried_again(ask: Ask) -> None:
    ran = ask("run", "trip.yaml", "--plain")
    assert ran.exit_code == 10
    assert re.search(r"execution=\S+ compensation=started steps=1 error=", ran.stderr)
    assert re.search(r"step=book/\[undo\] status=completed", ran.stderr)
    assert re.search(r"execution=\S+ compensation=completed\n", ran.stderr)
    assert re.search(r"status=failed outcome=compensated", ran.stderr)
    assert "instance retry" not in ran.stderr
    assert "failed (compensated)" in ask("instance", "list").stdout
    explained = ask("instance", "explain", "@latest")
    assert "retry" not in explained.stderr
    detail = data(ask("instance", "status", "@latest", "--task", "/", "-o", "json"))
    story = [line["text"] for line in detail["story"]]
    assert story == [
        "started by " + story[0][11:],
        "what was done is undone, 1 steps, after /pay/ no money",
        "everything was undone",
        "failed",
    ]


def test_a_cancel_can_ask_for_compensation(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "trip.yaml").write_text(HOLIDAY)
    assert ask("run", "trip.yaml", "--timeout", "0.1s").exit_code == 124
    assert ask("instance", "cancel", "@latest", "--task", "pay", "--compensate").exit_code == 5
    assert ask("instance", "cancel", "@latest", "--compensate").exit_code == 0
    explained = ask("instance", "explain", "@latest").stdout
    assert "what was done is being undone" in explained or "1 ready" in explained
    assert ask("run", "--resume", "@latest").exit_code == 11
    status = data(ask("instance", "status", "@latest", "-o", "json"))
    assert (status["status"], status["outcome"]) == ("cancelled", "compensated")

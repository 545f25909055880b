"""What is refused is refused with the way out: what would have to be done instead, and the command that does it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from taskengine.cli.main import cli
from tests.cli.programs import Folder

Run = Callable[..., Result]

OWN_OUTPUT = """
name: own
steps: [{id: a, type: noop}]
output: "{{ steps.a.output.x.y }}"
"""

STUCK = """
name: stuck
on_failure: compensate
steps:
  - id: reserve
    type: function
    config: {function: "steps:mark"}
    compensate: {type: function, config: {function: "steps:mark"}}
  - id: charge
    type: function
    depends_on: [reserve]
    config: {function: "steps:mark"}
    compensate: {type: function, config: {function: "steps:fail"}}
  - {id: ship, type: function, depends_on: [charge], config: {function: "steps:fail"}}
"""

ITEMS = """
name: items
steps:
  - id: each
    type: map
    config: {items: [1, 2]}
    steps: [{id: one, type: noop}]
  - {id: gate, type: wait, depends_on: [each], config: {signal: go, deadline: 1h}}
"""

ORPHAN = """
name: orphan
steps: [{id: kid, type: workflow, config: {workflow: file}}]
"""


@pytest.fixture
def te(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(folder.path)
    for name in ("TASK_ENGINE_DB", "TASK_ENGINE_BY", "TASK_ENGINE_ASCII"):
        monkeypatch.delenv(name, raising=False)
    for name, text in (("own", OWN_OUTPUT), ("stuck", STUCK), ("items", ITEMS), ("orphan", ORPHAN)):
        (folder.path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return lambda *words: CliRunner().invoke(cli, words)


def newest(te: Run) -> str:
    return te("instance", "list", "--limit", "1", "-o", "name").stdout.strip()


def test_a_retry_of_what_failed_in_its_own_output_names_the_fork_that_helps(te: Run) -> None:
    assert te("run", "own.yaml").exit_code == 10
    refused = te("instance", "retry", "@latest")
    assert refused.exit_code == 5
    assert "no task has to be tried again: the execution itself failed" in refused.stderr
    fork = f"task-engine instance fork {newest(te)} --from a --version latest\n"
    assert refused.stderr.endswith(f"hint: correct the document, upload it, then: {fork}")
    assert te("instance", "explain", "@latest").output.endswith(fork)


@pytest.mark.parametrize("path", ["reserve/[undo]", "charge", "reserve"])
def test_a_retry_beside_the_compensation_that_failed_names_that_one(te: Run, folder: Folder, path: str) -> None:
    assert te("run", "stuck.yaml").exit_code == 10
    refused = te("task", "retry", f"@latest/{path}")
    assert refused.exit_code == 5
    (command,) = re.findall(r"what failed is charge/\[undo\]: task-engine (task retry) '(\S+)'\n", refused.stderr)
    assert te(*command[0].split(), command[1]).exit_code == 0
    assert folder.marks == ["reserve 1", "charge 1", "ship 1", "charge 1"]  # nothing has begun by itself


def test_what_has_completed_with_its_item_is_not_said_to_be_what_the_item_did_without(te: Run, folder: Folder) -> None:
    assert folder.run("run", "items.yaml", "--timeout", "0.1s").code == 124
    refused = te("task", "retry", "@latest/each/[1]/one")
    assert refused.exit_code == 5
    assert "/each/[1]/one/ is completed, and /each/[1]/ with it" in refused.stderr


def test_a_workflow_that_is_not_there_is_quoted_and_can_be_uploaded(te: Run) -> None:
    assert te("run", "orphan.yaml").exit_code == 10
    told = te("instance", "status", "@latest").stdout
    assert 'workflow_not_found: there is no workflow "file" (task-engine workflow upload FILE keeps one)' in told

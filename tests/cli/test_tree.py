"""Tasks inside of others: shown as a tree everywhere, named by their paths, folded where there is no room."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from taskengine.app.engine import Engine
from taskengine.app.follow import Follower
from taskengine.app.inspect import Inspector
from taskengine.cli.live import frame
from taskengine.cli.terminal import Look
from taskengine.define import load_text
from taskengine.model.status import Phase
from tests.cli.programs import PATIENCE_S, Folder

pytestmark = pytest.mark.processes
PLAIN = Look(is_terminal=True, is_live=True, has_color=False, has_unicode=True)
DOCUMENT = """
name: nested
variables: {total: 0}
steps:
  - id: each
    type: map
    config: {items: [1, 0, 2]}
    success: any
    steps:
      - {id: load, type: function, config: {function: "inner:load"}}
      - {id: after, type: noop, depends_on: [load]}
    output: "{{ steps.load.output }}"
  - id: check
    type: condition
    depends_on: [each]
    cases:
      - name: many
        when: "steps.each.output|length > 2"
        steps:
          - id: both
            type: parallel
            branches:
              left: [{id: apart, type: function, config: {function: "inner:load", run_in: process, params: {item: 1, index: 5}}}]
              right: [{id: put, type: set, config: {total: "{{ steps.each.output|length }}"}}]
output: "{{ variables.total }}"
"""
FUNCTIONS = """
import logging

def load(item, index):
    logging.getLogger("inner").warning("item %s", item)
    return [index, 6 / item]
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A folder in which the document has run once."""
    folder = Folder(tmp_path_factory.mktemp("tree"))
    (folder.path / "nested.yaml").write_text(DOCUMENT)
    (folder.path / "inner.py").write_text(FUNCTIONS)
    ended = folder.run("run", "nested.yaml")
    assert (ended.code, ended.stdout.strip()) == (12, "3"), ended.stderr
    (folder.path / "stderr").write_text(ended.stderr)
    return folder


def test_the_lines_of_a_run_name_tasks_by_their_way_and_blocks_only_for_what_is_their_own(ran: Folder) -> None:
    lines = [line.partition(" ")[2] for line in (ran.path / "stderr").read_text().splitlines()]
    told = [line.split()[:2] for line in lines if line.startswith("step=")]
    assert ["step=each", "status=running"] in told
    assert ["step=each/[0]/load", "status=completed"] in told
    assert ["step=each/[1]/load", "status=failed"] in told
    assert ["step=check/many/both/right/put", "status=completed"] in told
    assert not [one for one, _ in told if one.endswith("]")]
    assert sum(one.startswith("execution=") for one in lines) == 2  # its start and its end


def test_a_status_is_the_tree(ran: Folder) -> None:
    table = ran.run("instance", "status", "@latest").stdout.partition("TASK")[2].splitlines()[1:]
    marks = ("✔", "✖", "»")
    shown = [line[: next(place for place, one in enumerate(line) if one in marks)] + line.split()[1] for line in table]
    assert shown == [
        "each",
        *("  [0]/load", "  [0]/after", "  [1]/load", "  [1]/after", "  [2]/load", "  [2]/after"),
        "check",
        "  many/both",
        *("    left/apart", "    right/put"),
    ]
    assert table[0].endswith("2/3 done, 1 failed")
    assert table[3].endswith("ZeroDivisionError: division by zero")
    assert table[7].endswith("many")


def test_tasks_know_what_they_are_below(ran: Folder) -> None:
    tasks = ran.run("instance", "tasks", "@latest", "-o", "json").data["items"]
    by_path = {one["path"]: one for one in tasks}
    assert list(by_path)[:4] == ["/each/", "/each/[0]/", "/each/[0]/load/", "/each/[0]/after/"]
    load, block = by_path["/each/[1]/load/"], by_path["/each/[1]/"]
    assert (load["parent_id"], block["parent_id"]) == (block["id"], by_path["/each/"]["id"])
    assert (load["depth"], block["depth"], by_path["/each/"]["depth"]) == (3, 2, 1)
    assert (block["type"], block["step_id"], block["name"], block["status"]) == ("item", "each", "[1]", "failed")
    assert load["idempotency_key"].endswith("/each/[1]/load/")
    assert (load["step_id"], load["type"], load["error_code"]) == ("load", "function", "ZeroDivisionError")


def test_one_task_inside_is_named_by_its_way(ran: Folder) -> None:
    for word in ("each/[2]/load", "/each/[2]/load/"):
        found = ran.run("instance", "status", "@latest", "--task", word, "-o", "json").data
        assert (found["task"]["path"], found["output"]) == ("/each/[2]/load/", [2, 3.0])
    assert ran.run("instance", "status", "@latest", "--task", "each/[3]/load").code == 3
    story = ran.run("instance", "status", "@latest", "--task", "each").stdout
    assert "opens [0] to [2]" in story


def test_events_and_logs_have_the_path(ran: Folder) -> None:
    events = [json.loads(line) for line in ran.run("instance", "events", "@latest", "-o", "jsonl").stdout.splitlines()]
    failed = next(one for one in events if one["type"] == "TaskFailed")
    assert (failed["path"], failed["step_id"]) == ("/each/[1]/load/", "load")
    opened = next(one for one in events if one["type"] == "ChildrenRegistered")
    tasks = ran.run("instance", "tasks", "@latest", "-o", "json").data["items"]
    assert opened["data"]["first"] == next(one["id"] for one in tasks if one["path"] == "/each/[0]/")
    lines = ran.run("instance", "logs", "@latest", "--task", "each/[2]/load").stdout.splitlines()
    assert [line.split()[1:] for line in lines] == [["each/[2]/load", "warning", "inner:", "item", "2"]]


def test_control_takes_a_way(ran: Folder) -> None:
    ended = ran.run("run", "nested.yaml", "--db", "other.db")
    assert ended.code == 12
    control = ("--db", "other.db")
    refused = ran.run("task", "retry", "@latest/each/[0]/load", *control)
    assert (refused.code, "has completed" in refused.stderr or "not" in refused.stderr) == (5, True)
    assert ran.run("instance", "retry", "@latest", "--task", "each/[9]/load", *control).code == 3


def test_what_failed_is_named_once_and_with_its_way(ran: Folder) -> None:
    strict = DOCUMENT.replace("success: any", "success: all")
    (ran.path / "strict.yaml").write_text(strict)
    ended = ran.run("run", "strict.yaml", "--db", "strict.db")
    assert ended.code == 10
    reasons = [line for line in ended.stderr.splitlines() if line.startswith("  ")]
    assert reasons == ["  each/[1]/load: ZeroDivisionError: division by zero"]
    assert "--task 'each/[1]/load'" in ended.stderr


# ── live ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

FAN = """
name: fan
steps:
  - id: each
    type: map
    config: {items: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19], max_concurrency: 18}
    success: any
    steps: [{id: load, type: function, config: {function: load}}]
"""


@asynccontextmanager
async def fan() -> AsyncIterator[Follower]:
    """The fan-out when sixteen have ended, one of them badly, and two are at work."""

    async def load(item: int) -> int:
        if item in {3, 17, 18, 19}:
            await asyncio.Event().wait()
        if item == 5:
            raise ValueError("no 5")
        return item

    async with Engine(":memory:", functions={"load": load}) as engine:
        execution = await engine.execute_workflow(load_text(FAN, file="fan.yaml").require())
        follower = await Inspector(engine.store, engine.node.environment).follower(execution.id)
        async with asyncio.timeout(PATIENCE_S):
            while follower.state.counts[Phase.FAILED] < 2 or follower.state.counts[Phase.COMPLETED] < 30:
                await asyncio.sleep(0)
                await follower.read()
        yield follower
        await engine.terminate_instance(execution.id)


async def test_a_fan_out_is_folded_under_its_container() -> None:
    async with fan() as follower:
        lines = frame(follower, now=follower.state.at, style=PLAIN, width=100, height=12)
    assert len(lines) <= 11
    assert lines[1].split()[:3] == ["●", "each", "running"]
    assert lines[1].endswith("15/20 done, 1 failed, 4 running")
    assert [" ".join(line.split()[:3]) for line in lines[2:-1]] == [
        "● [3]/load running",
        "✖ [5]/load failed",
        "● [17]/load running",
        "● [18]/load running",
        "● [19]/load running",
    ]
    assert lines[3].endswith("ValueError: no 5")
    assert "15 completed, 1 failed, 5 running" in lines[-1]


# ── variables ────────────────────────────────────────────────────────────────────────────────────────────────────────

WAITING = """
name: waiting
variables: {size: 1, note: before}
steps:
  - {id: wait, type: wait, config: {signal: go}}
  - {id: read, type: set, depends_on: [wait], config: {size: "{{ variables.size + 1 }}"}}
output: [variables.size, "{{ variables.size }}", "{{ variables.note }}"]
"""


def test_new_values_of_variables_are_seen_by_what_begins_later(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "waiting.yaml").write_text(WAITING)
    assert folder.run("run", "waiting.yaml", "--timeout", "1s").code == 124
    told = folder.run("instance", "set-variables", "@latest", "size=41", "note=after")
    assert (told.code, told.stdout.split(" ", 1)[1]) == (0, "has new values: size, note\n")
    refused = folder.run("instance", "set-variables", "@latest", "sise=1")
    assert refused.code == 5
    assert "the workflow has no variable sise" in refused.stderr
    assert "it has note, size" in refused.stderr
    assert folder.run("instance", "signal", "@latest", "go").code == 0
    ended = folder.run("instance", "status", "@latest", "-o", "json").data
    assert (ended["status"], ended["output"]) == ("completed", ["variables.size", 42, "after"])
    events = [json.loads(line) for line in folder.run("instance", "events", "@latest", "-o", "jsonl").stdout.splitlines()]
    (given,) = [one for one in events if one["type"] == "VariablesSet" and not one.get("path")]
    assert (given["by"], given["data"]) == ("ada", {"values": {"size": 41, "note": "after"}})


# ── why it is not further ────────────────────────────────────────────────────────────────────────────────────────────

HELD = """
name: held
steps:
  - id: each
    type: map
    config: {items: [1, 2]}
    steps: [{id: wait, type: wait, config: {signal: go}}]
  - {id: last, type: noop, depends_on: [each]}
"""


def test_explain_names_what_is_paused_around_a_task(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "held.yaml").write_text(HELD)
    assert folder.run("run", "held.yaml", "--timeout", "1s").code == 124
    found = folder.run("instance", "explain", "@latest", "-o", "json").data
    reasons = {one["path"]: (one["kind"], one["text"]) for one in found["reasons"]}
    assert reasons == {
        "/each/": ("children", "0/2 done, 2 running"),
        "/each/[0]/wait/": ("signal", "waits for signal go"),
        "/each/[1]/wait/": ("signal", "waits for signal go"),
        "/last/": ("dependencies", "waits for each"),
    }
    assert folder.run("instance", "pause", "@latest", "--task", "each/[1]").code == 0
    found = folder.run("instance", "explain", "@latest", "-o", "json").data
    reasons = {one["path"]: (one["kind"], one["text"]) for one in found["reasons"]}
    assert reasons["/each/[1]/wait/"] == ("paused", "/each/[1]/ is paused; after that it waits for signal go")
    assert any(one.endswith("--task 'each/[1]'") for one in found["next"])
    assert "each/[1]/wait" in folder.run("instance", "explain", "@latest").stdout
    assert folder.run("instance", "resume", "@latest", "--task", "each/[1]").code == 0
    assert folder.run("instance", "signal", "@latest", "go").code == 0
    status = folder.run("instance", "status", "@latest").stdout
    assert "1/2 done, 1 running" in status


# ── how far it is ────────────────────────────────────────────────────────────────────────────────────────────────────

GROWING = """
name: growing
steps:
  - id: each
    type: map
    config: {items: [1, 2, 3], max_concurrency: 2}
    steps: [{id: wait, type: wait, config: {signal: "go{{ item }}"}}]
  - {id: hold, type: wait, depends_on: [each], config: {signal: on}}
"""


def test_no_percentage_is_told_while_items_are_still_to_be_opened(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "growing.yaml").write_text(GROWING)
    assert folder.run("run", "growing.yaml", "--timeout", "0.2s").code == 124
    assert "Progress: 0/4 so far  " in folder.run("instance", "status", "@latest").stdout
    assert folder.run("instance", "signal", "@latest", "go1").code == 0
    assert folder.run("run", "--resume", "--timeout", "0.2s").code == 124
    assert "Progress: 1/5 (20%)  " in folder.run("instance", "status", "@latest").stdout  # every item is open now
    for signal in ("go2", "go3", "on"):
        assert folder.run("instance", "signal", "@latest", signal).code == 0
    assert "Progress: 5/5 (100%)  " in folder.run("instance", "status", "@latest").stdout

"""``instance logs`` and progress: what work says of itself while it runs and afterwards."""

from __future__ import annotations

import json

import pytest

from taskengine.cli.rows import told
from taskengine.model.value import ABSENT, Raw
from tests.cli.programs import Folder

TALKING = """
name: talking
steps:
  - {id: load, type: function, config: {function: "talking:load"}, retry: {max_attempts: 2, initial_interval: 1ms}}
  - {id: shell, type: script, depends_on: [load], config: {inline: "echo out; echo err >&2", runtime: sh}}
"""
FUNCTIONS = """
import logging


def load(ctx):
    ctx.progress(0.4, "12 of 30 rows", data=12)
    logging.getLogger("talking").warning("first line\\nsecond \\x1b[31mline")
    if ctx.attempt == 1:
        raise ValueError("no rows")
"""


@pytest.fixture
def talked(folder: Folder) -> Folder:
    folder.path.joinpath("talking.yaml").write_text(TALKING, encoding="utf-8")
    folder.path.joinpath("talking.py").write_text(FUNCTIONS, encoding="utf-8")
    assert folder.run("run", "talking.yaml").code == 0
    return folder


def test_what_work_says_is_shown_in_order_with_who_said_it(talked: Folder) -> None:
    shown = talked.run("instance", "logs", "@latest")
    assert shown.code == 0
    assert "load warning talking: first line\n    second \\x1b[31mline\n" in shown.stdout
    assert "load error   traceback: Traceback" in shown.stdout
    assert "ValueError: no rows" in shown.stdout
    assert "load#2 warning" in shown.stdout
    assert "shell info    stdout: out\n" in shown.stdout
    assert "shell warning stderr: err\n" in shown.stdout


def test_lines_are_data_of_one_task_from_a_place_on(talked: Folder) -> None:
    lines = [
        json.loads(line) for line in talked.run("instance", "logs", "@latest", "--task", "shell", "-o", "jsonl").stdout.splitlines()
    ]
    assert {line["step_id"] for line in lines} == {"shell"}
    assert sorted(line["message"] for line in lines if line["source"] in {"stdout", "stderr"}) == ["err", "out"]
    after = talked.run("instance", "logs", "@latest", "--after", str(lines[0]["log_id"]), "--limit", "1", "-o", "jsonl")
    assert [json.loads(line)["log_id"] for line in after.stdout.splitlines()] == [lines[1]["log_id"]]


def test_following_ends_with_the_execution(talked: Folder) -> None:
    assert talked.run("instance", "logs", "@latest", "--follow").stdout == talked.run("instance", "logs", "@latest").stdout


def test_a_task_that_is_not_there_is_named(talked: Folder) -> None:
    shown = talked.run("instance", "logs", "@latest", "--task", "no")
    assert (shown.code, "/no/" in shown.stderr) == (3, True)


def test_progress_is_a_line_in_a_pipe_and_a_note_beside_the_task(talked: Folder) -> None:
    assert "step=load progress=" in talked.run("run", "talking.yaml").stderr
    assert told(Raw(b'{"fraction":0.4,"message":"12 of 30 rows","data":12}')) == "40%, 12 of 30 rows"
    assert (told(Raw(b'{"message":"half"}')), told(Raw(b'{"fraction":1}')), told(ABSENT)) == ("half", "100%", "")

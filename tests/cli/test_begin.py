"""The first minutes: a demo that runs, a project whose README runs as printed, and a run again at every save."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from taskengine.cli.main import cli
from tests.cli.programs import Folder, Running

Run = Callable[..., Result]


@pytest.fixture
def te(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    for name in ("TASK_ENGINE_DB", "TASK_ENGINE_BY", "TASK_ENGINE_ASCII"):
        monkeypatch.delenv(name, raising=False)
    return lambda *words: CliRunner().invoke(cli, words)


def commands(readme: Path) -> list[list[str]]:
    """What a person would type: the lines after ``$`` of its console blocks."""
    lines = readme.read_text(encoding="utf-8").splitlines()
    return [shlex.split(line[2:]) for line in lines if line.startswith("$ ")]


def test_every_command_of_the_projects_readme_runs_as_printed(te: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = te("init", "mine")
    assert made.exit_code == 0
    assert made.stdout.split() == ["mine/README.md", "mine/hello.py", "mine/hello.yaml"]
    assert "cd mine && task-engine run hello.yaml" in made.stderr
    monkeypatch.chdir(tmp_path / "mine")
    typed = commands(tmp_path / "mine" / "README.md")
    assert len(typed) == 7
    for program, *words in typed:
        assert program == "task-engine"
        result = te(*words)
        assert result.exit_code == 0, result.output
    listed = json.loads(te("instance", "list", "-o", "json").stdout)
    assert [one["status"] for one in listed["items"]] == ["completed"] * 3
    (count,) = [
        one for one in json.loads(te("instance", "tasks", "@latest", "-o", "json").stdout)["items"] if one["step_id"] == "count"
    ]
    assert count["attempt"] == 2  # name=retry


def test_a_project_overwrites_nothing(te: Run, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text("mine", encoding="utf-8")
    refused = te("init")
    assert refused.exit_code == 5
    assert "hello.py is there already, and nothing is overwritten" in refused.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["hello.py"]
    assert (tmp_path / "hello.py").read_text(encoding="utf-8") == "mine"


def test_a_folder_where_one_may_not_write_is_an_error(te: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = te("init", "file/below")
    assert refused.exit_code == 6
    assert "hint:" in refused.stderr


def test_the_demo_runs_in_a_folder_of_its_own(te: Run, tmp_path: Path) -> None:
    shown = te("demo", "shop")
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout) == {"sent": True, "paid": 24}
    assert "step=pay status=waiting attempt=1 retry_in=1s" in shown.stderr
    assert "cd shop && task-engine dev shop.yaml" in shown.stderr
    next_words = next(line for line in shown.stderr.splitlines() if line.startswith("next:"))
    assert te(*shlex.split(next_words)[2:]).exit_code == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["shop"]


def test_the_demo_leaves_files_of_others_alone(te: Run, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text("mine", encoding="utf-8")
    assert te("demo", ".").exit_code == 5
    assert (tmp_path / "shop.yaml").read_text(encoding="utf-8") == "mine"


@pytest.fixture
def developing(folder: Folder) -> Iterator[Running]:
    (folder.path / "once.yaml").write_text('name: once\nsteps: [{id: first, type: function, config: {function: "steps:mark"}}]\n')
    running = folder.start("dev", "once.yaml")
    running.until("ended with 0; waiting for a change")
    yield running
    if running.process.poll() is None:
        running.kill()


@pytest.mark.processes
def test_a_save_of_the_document_or_of_a_function_runs_it_again(developing: Running, folder: Folder) -> None:
    assert folder.marks == ["first 1"]
    text = (folder.path / "once.yaml").read_text(encoding="utf-8")
    (folder.path / "once.yaml").write_text(text.replace("first", "second"), encoding="utf-8")
    developing.until("ended with 0; waiting for a change")
    assert folder.marks == ["first 1", "second 1"]
    steps = folder.path / "steps.py"
    steps.write_text(steps.read_text(encoding="utf-8").replace("{ctx.attempt}", "anew"), encoding="utf-8")
    developing.until("ended with 0; waiting for a change")
    assert folder.marks == ["first 1", "second 1", "second anew"]
    developing.interrupt()
    assert developing.end().code == 0


@pytest.mark.processes
def test_a_mistake_is_told_with_its_place_and_not_run(developing: Running, folder: Folder) -> None:
    document = folder.path / "once.yaml"
    good = document.read_text(encoding="utf-8")
    document.write_text(good.replace("type: function", "type: functon"), encoding="utf-8")
    developing.until("unknown step type")
    developing.until("the last good version is kept")
    (folder.path / "broken.py").write_text("def (", encoding="utf-8")
    document.write_text(good, encoding="utf-8")
    developing.until("broken.py:1: invalid syntax")
    developing.until("the last good version is kept")
    assert folder.marks == ["first 1"]
    (folder.path / "broken.py").unlink()
    developing.until("ended with 0; waiting for a change")
    assert folder.marks == ["first 1", "first 1"]


@pytest.mark.processes
def test_a_run_that_goes_on_is_stopped_for_a_better_version_and_not_for_a_worse_one(folder: Folder) -> None:
    document = folder.path / "long.yaml"
    shutil.copy(folder.path / "endless.yaml", document)
    running = folder.start("dev", "long.yaml")
    try:
        running.until("step=forever status=running")
        good = document.read_text(encoding="utf-8")
        document.write_text("name: [", encoding="utf-8")
        running.until("the last good version goes on")
        document.write_text(good.replace("steps:forever", "steps:mark"), encoding="utf-8")
        running.until("stopping the run of the version before")
        running.until("ended with 0; waiting for a change")
        assert folder.marks == ["forever 1", "forever 1"]
        statuses = [one["status"] for one in folder.run("instance", "list", "-o", "json").data["items"]]
        assert statuses == ["completed", "running"]  # what was stopped can be gone on with
    finally:
        running.kill()

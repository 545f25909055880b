"""A folder with documents for each test, and one with a history that several tests look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from taskengine.cli.main import cli
from tests.cli.programs import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Three executions, oldest first: hello completed, failing failed, waiting still waits. Not to be changed."""
    folder = Folder(tmp_path_factory.mktemp("past"))
    assert folder.run("run", "hello.yaml", "--input", "who=Ada").code == 0
    assert folder.run("run", "failing.yaml").code == 10
    assert folder.run("run", "waiting.yaml", "--timeout", "0.1s").code == 124
    return folder


@pytest.fixture
def ask(past: Folder, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command in this process, in the folder with the history."""
    monkeypatch.chdir(past.path)
    for name in ("TASK_ENGINE_DB", "TASK_ENGINE_BY", "TASK_ENGINE_ASCII"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> Result:
        return CliRunner().invoke(cli, words)

    return run

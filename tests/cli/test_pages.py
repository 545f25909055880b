"""Every error code has a page that says what, why and what to do; completion scripts are what the shells need."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import taskengine
from taskengine import errors
from taskengine.cli.main import cli
from taskengine.cli.pages import NAMES, page_of, pages
from taskengine.define.codes import CODES
from tests.cli.programs import PROGRAM, Folder

ROOT = Path(taskengine.__file__).parent
PRODUCT = [path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] != "testing"]
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in PRODUCT)


def te(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


def test_every_code_that_the_sources_name_has_a_page() -> None:
    known = {page.code for page in pages()}
    used = set(re.findall(r'"(TE\d{4})"', SOURCES))
    assert used - known <= {"TE9000"}
    assert {getattr(errors, name).code for name in errors.__all__} <= known | {"TE9000"}


def test_every_page_says_what_why_and_what_to_do() -> None:
    empty = [page.code for page in pages() if not (page.what and page.why)]
    assert empty == []
    without = {page.code for page in pages() if not page.fix}
    assert without <= {one.code for one in CODES if not one.hint}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_that_is_explained_is_one_that_is_raised(name: str) -> None:
    assert f'"{name}"' in SOURCES.replace(f'"{name}": (', "")
    page = page_of(name)
    assert page is not None
    assert page.fix


def test_a_code_and_a_name_are_explained_in_any_case() -> None:
    result = te("explain", "te1204")
    assert result.exit_code == 0
    assert result.stdout.startswith("error[TE1204] unknown_dependency\n  what  ")
    assert te("explain", "unknown_dependency").stdout == result.stdout
    assert "--draft" in te("explain", "version_exists").stdout
    assert json.loads(te("explain", "TE1204", "-o", "json").stdout)["name"] == "unknown_dependency"


def test_an_unknown_code_is_answered_with_the_nearest() -> None:
    result = te("explain", "version_exist")
    assert result.exit_code == 3
    assert "did you mean version_exists?" in result.stderr
    assert te("explain", "TE0000").exit_code == 3


def test_without_a_code_all_are_listed() -> None:
    assert len(te("explain", "-o", "name").stdout.split()) == len(pages())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_completes_both_names(shell: str) -> None:
    script = te("completion", shell).stdout
    assert "_TASK_ENGINE_COMPLETE" in script
    assert "_TE_COMPLETE" in script


@pytest.mark.processes
def test_the_script_is_one_that_bash_takes() -> None:
    script = te("completion", "bash").stdout
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.processes
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("task-engine inst", "plain,instance"),
        ("task-engine instance sta", "plain,status"),
        ("task-engine workflow show he", "plain,hello"),
        ("task-engine instance status @la", "plain,@latest"),
        ("task-engine instance list --sta", "plain,--status"),
    ],
)
def test_the_shell_is_told_commands_options_and_names(past: Folder, line: str, expected: str) -> None:
    words = line.split()
    environment = past.environment | {
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_TASK_ENGINE_COMPLETE": "bash_complete",
    }
    done = subprocess.run([PROGRAM], cwd=past.path, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert expected in done.stdout.splitlines()
    assert done.stderr == ""

"""Every command, crawled: its help, a wrong flag, an unknown id, a missing and a broken database. Always a hint."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from taskengine.cli.command import EngineCommand, LazyGroup
from taskengine.cli.main import cli
from tests.cli.programs import Folder

Ask = Callable[..., Result]


def walk(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every group and command below, with the words that call it."""
    yield words, command
    if isinstance(command, LazyGroup):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from walk(below, (*words, name))


EVERYTHING = dict(walk(cli))
LEAVES = {words: command for words, command in EVERYTHING.items() if isinstance(command, EngineCommand)}
MAKES_A_DATABASE = frozenset({("workflow", "upload")})
LOOKS_ANYWAY = frozenset({("doctor",)})
RUNS_ON = frozenset({("dev",)})  # until somebody ends it: an error of a run is told, and does not end it
FILES = {
    "absent": ("absent.yaml", None),
    "empty": ("empty.yaml", b""),
    "broken": ("broken.yaml", b"name: [\n"),
    "bytes": ("bytes.yaml", bytes(range(256))),
    "cyclic": (
        "cyclic.yaml",
        b"name: c\nsteps: [{id: a, type: noop, depends_on: [b]}, {id: b, type: noop, depends_on: [a]}]\n",
    ),
    "folder": (".", None),
}
each = pytest.mark.parametrize("words", EVERYTHING, ids=lambda words: "-".join(words) or "root")


def having(parameter: str, *, but: frozenset[tuple[str, ...]] = frozenset()) -> pytest.MarkDecorator:
    """The commands that have a parameter of this name."""
    found = [
        words for words, command in LEAVES.items() if any(one.name == parameter for one in command.params) and words not in but
    ]
    assert found
    return pytest.mark.parametrize("words", found, ids="-".join)


def arguments(words: tuple[str, ...], *, execution: str = "@latest") -> list[str]:
    """Something for each argument that the command requires."""
    given = {
        "execution": execution,
        "other": execution,
        "name": "approved",
        "file": "hello.yaml",
        "files": "hello.yaml",
        "workflow": "hello",
        "target": f"{execution}/approval",
        "folder": "here",
        "code": "TE1204",
        "copy": "copy.db",
        "shell": "bash",
        "step": "--from=/",
        "age": "--older-than=1h",
        "values": "size=1",
    }
    return [given[one.name or ""] for one in LEAVES[words].params if isinstance(one, click.Argument) or one.required]


def test_the_tree_is_the_one_that_is_documented() -> None:
    assert [" ".join(words) for words in LEAVES] == [
        "demo",
        "init",
        "dev",
        "run",
        "workflow check",
        "workflow upload",
        "workflow list",
        "workflow show",
        "workflow execute",
        "workflow versions",
        "workflow export",
        "workflow graph",
        "workflow schema",
        "instance list",
        "instance status",
        "instance history",
        "instance tasks",
        "instance explain",
        "instance diff",
        "instance watch",
        "instance events",
        "instance logs",
        "instance pause",
        "instance resume",
        "instance cancel",
        "instance terminate",
        "instance retry",
        "instance set-variables",
        "instance fork",
        "instance signal",
        "task approve",
        "task reject",
        "task retry",
        "task skip",
        "task cancel",
        "explain",
        "doctor",
        "db check",
        "db backup",
        "db prune",
        "completion",
        "version",
    ]


@each
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_short_and_says_what_the_command_is_for(words: tuple[str, ...], flag: str) -> None:
    result = CliRunner().invoke(cli, [*words, flag])
    assert result.exit_code == 0
    assert 5 <= len(result.output.splitlines()) <= 45
    assert result.output.startswith("Usage: ")


@pytest.mark.parametrize("words", LEAVES, ids="-".join)
def test_every_example_is_understood(words: tuple[str, ...], past: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(past.path)
    command = LEAVES[words]
    assert isinstance(command, EngineCommand)
    assert command.examples
    for example in command.examples:
        assert f"  {example}\n" in CliRunner().invoke(cli, [*words, "--help"]).output
        program, *given = shlex.split(re.split(" >>? ", example)[0])
        assert (program, tuple(given[: len(words)])) == ("task-engine", words)
        command.make_context(" ".join(words), given[len(words) :]).close()


@each
def test_a_wrong_flag_is_a_usage_error(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*words, "--wrong"])
    assert result.exit_code == 2
    assert "No such option" in result.output
    assert "--help" in result.output


@pytest.mark.parametrize("words", [("instanse",), ("instance", "statsu"), ("workflow", "chekc")], ids="-".join)
def test_a_mistyped_command_is_answered_with_the_one_that_was_meant(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2
    assert "Did you mean " in result.output


def must_be_an_error(result: Result, *, code: int, name: str, has_json: bool = True) -> None:
    """One line that names it, a hint, and nothing on stdout."""
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    if not has_json:
        assert "  hint: " in result.stderr or name == "file_not_found"
        return
    error = json.loads(result.stderr)["error"]
    assert error["name"] == name
    assert error["message"]
    assert error["hint"]


@having("execution")
def test_an_unknown_id_is_named_with_candidates(words: tuple[str, ...], ask: Ask) -> None:
    result = ask(*words, *arguments(words, execution="ZZZZ"), "-o", "json")
    must_be_an_error(result, code=3, name="execution_not_found")
    assert len(json.loads(result.stderr)["error"]["details"]["candidates"]) == 3


@having("execution")
def test_an_ambiguous_id_is_named_with_candidates(words: tuple[str, ...], ask: Ask) -> None:
    result = ask(*words, *arguments(words, execution="ex_01"), "-o", "json")
    must_be_an_error(result, code=3, name="id_too_short")
    beginning = ask("instance", "status", "@latest", "-o", "name").stdout[:7]
    result = ask(*words, *arguments(words, execution=beginning), "-o", "json")
    must_be_an_error(result, code=3, name="ambiguous_id")
    assert len(json.loads(result.stderr)["error"]["details"]["candidates"]) == 3


@having("database", but=MAKES_A_DATABASE | LOOKS_ANYWAY | RUNS_ON)
def test_a_missing_database_is_an_error_and_none_is_made(words: tuple[str, ...], past: Folder, ask: Ask) -> None:
    resume = ["--resume"] if words == ("run",) else []
    result = ask(*words, *arguments(words), *resume, "--db", "absent.db", "-o", "json")
    must_be_an_error(result, code=3, name="database_not_found")
    assert not (past.path / "absent.db").exists()


@having("database")
def test_a_database_in_memory_would_be_lost(words: tuple[str, ...], ask: Ask) -> None:
    result = ask(*words, *arguments(words), "--db", ":memory:")
    assert result.exit_code == 2
    assert "a database in memory would end with the command" in result.output


@having("database", but=LOOKS_ANYWAY | RUNS_ON)
def test_a_broken_database_is_an_error(words: tuple[str, ...], past: Folder, ask: Ask) -> None:
    (past.path / "broken.db").write_bytes(b"this is no database at all" * 100)
    given = ["--input", "who=Ada"] if words == ("run",) else []
    result = ask(*words, *arguments(words), *given, "--db", "broken.db", "-o", "json")
    must_be_an_error(result, code=6, name=json.loads(result.stderr)["error"]["name"])


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("words", [("run",), ("workflow", "check"), ("workflow", "upload")], ids="-".join)
def test_a_broken_file_is_an_error_with_its_place_and_nothing_is_made(
    words: tuple[str, ...], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name, data = FILES[kind]
    if data is not None:
        (tmp_path / name).write_bytes(data)
    result = CliRunner().invoke(cli, [*words, name])
    assert result.exit_code == (3 if kind == "absent" else 8)
    assert isinstance(result.exception, SystemExit)
    assert "error[TE" in result.output
    assert "hint: " in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / ".task-engine").exists()


def test_developing_needs_a_file_that_is_there(ask: Ask) -> None:
    must_be_an_error(ask("dev", "absent.yaml"), code=3, name="file_not_found", has_json=False)


@pytest.mark.processes
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("", 2),
        ("--version", 0),
        ("--wrong", 2),
        ("instance", 2),
        ("instance status ZZZZ", 3),
        ("instance list --db absent.db", 3),
        ("instance signal @latest", 2),
        ("instance set-variables @latest", 2),
        ("instance set-variables @latest nothing=1", 5),
        ("workflow check absent.yaml", 3),
        ("workflow show absent", 3),
        ("workflow export hello", 0),
        ("run hello.yaml", 8),
        ("explain TE0000", 3),
        ("doctor", 0),
        ("db check", 0),
        ("completion tcsh", 2),
        ("instance resume @latest", 5),
        ("task retry @latest/approval", 5),
    ],
)
def test_a_process_ends_with_the_same_code_and_no_traceback(past: Folder, line: str, code: int) -> None:
    ended = past.run(*line.split())
    assert ended.code == code
    assert "Traceback" not in ended.stdout + ended.stderr
    assert code == 0 or ended.stderr


@having("task")
def test_an_unknown_task_is_an_error(words: tuple[str, ...], ask: Ask) -> None:
    result = ask(*words, "@latest", "--task", "absent", "-o", "json")
    must_be_an_error(result, code=3, name="unknown_path")


@having("output")
def test_an_unknown_form_is_a_usage_error(words: tuple[str, ...], ask: Ask) -> None:
    result = ask(*words, *arguments(words), "-o", "xml")
    assert result.exit_code == 2
    assert "'xml' is not one of" in result.output


def test_errors_are_text_with_a_hint_where_no_json_was_asked_for(ask: Ask) -> None:
    result = ask("instance", "status", "ZZZZ")
    first, hint = result.stderr.splitlines()
    assert first == "error[TE3000]: there is no execution ZZZZ"
    assert hint.startswith("  hint: the newest: ex_")


def test_a_traceback_is_shown_to_whoever_asks_twice(ask: Ask) -> None:
    assert "Traceback" not in ask("-v", "instance", "status", "ZZZZ").stderr
    assert "Traceback" in ask("-vv", "instance", "status", "ZZZZ").stderr
    assert "Traceback" in ask("-v", "instance", "status", "ZZZZ", "-v").stderr

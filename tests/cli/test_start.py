"""What the command line imports before it knows what to do, and how it ends when something of ours is broken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from taskengine.cli.exits import Exit, exit_of_error
from taskengine.errors import TaskEngineError
from tests.cli.programs import Folder

pytestmark = pytest.mark.processes
HEAVY = {"asyncio", "logging", "minijinja", "msgspec", "pydantic", "rich", "sqlite3", "ssl", "taskengine.kernel", "uvloop", "yaml"}


def modules_after(*words: str) -> set[str]:
    """The modules that a command has imported when it ends."""
    program = (
        "import json, sys\n"
        f"sys.argv = ['task-engine', *{list(words)!r}]\n"
        "from taskengine.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_no_help_imports_anything_heavy() -> None:
    """Of the whole tree in one process: what one help imports, all of them would show."""
    program = (
        "import sys, click\n"
        "from taskengine.cli.main import cli\n"
        "from taskengine.cli.command import LazyGroup\n"
        "def walk(command, words):\n"
        "    context = click.Context(command, info_name='te')\n"
        "    command.get_help(context)\n"
        f"    found = sorted(set(sys.modules) & {HEAVY!r})\n"
        "    assert not found, (words, found)\n"
        "    if isinstance(command, LazyGroup):\n"
        "        for name in command.list_commands(context):\n"
        "            walk(command.get_command(context, name), [*words, name])\n"
        "walk(cli, [])\n"
        "print('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("done\n", "")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["instance", "status", "--help"]], ids=" ".join)
def test_a_process_that_helps_imports_nothing_heavy(words: list[str]) -> None:
    assert modules_after(*words) & HEAVY == set()


def test_looking_imports_no_terminal_library_and_no_fast_loop(past: Folder) -> None:
    loaded = modules_after("instance", "list", "--db", str(past.path / ".task-engine" / "engine.db"))
    assert "msgspec" in loaded
    assert loaded & {"rich", "uvloop", "pydantic", "yaml"} == set()


def test_a_bug_is_told_in_one_line_with_its_place(folder: Folder) -> None:
    program = "import sys\nfrom taskengine.cli import main\nsys.argv = ['task-engine', 'version']\nmain.cli = None\nmain.main()\n"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder.path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == Exit.BUG
    assert "Traceback" not in done.stderr
    first, hint = done.stderr.splitlines()
    assert first.startswith("error[TE9000]: internal error: AttributeError: ")
    assert "(cli/main.py:" in first
    assert "this is a bug of task-engine" in hint


def test_a_module_that_breaks_while_it_is_imported_is_the_users_mistake(folder: Folder) -> None:
    (folder.path / "broken.py").write_text("raise RuntimeError('not today')\n", encoding="utf-8")
    (folder.path / "broken.yaml").write_text('name: broken\nsteps:\n  - {id: a, type: function, config: {function: "broken:f"}}\n')
    ended = folder.run("run", "broken.yaml")
    assert ended.code == Exit.NOT_FOUND
    assert "RuntimeError: not today" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_error_class_has_an_exit_code_of_its_own_kind() -> None:
    def below(kind: type[TaskEngineError]) -> list[type[TaskEngineError]]:
        product = [sub for sub in kind.__subclasses__() if not sub.__module__.startswith("taskengine.testing")]
        return [one for sub in product for one in (sub, *below(sub))]

    import taskengine.ports.store as _  # noqa: F401 -- it has one more

    codes = {kind.__name__: exit_of_error(kind("name", "message")) for kind in below(TaskEngineError)}
    assert {name for name, code in codes.items() if code is Exit.BUG} == {"InternalError"}
    assert codes["CommitUnknownError"] is Exit.UNREACHABLE
    assert codes["OverloadedError"] is Exit.QUOTA
    assert codes["CommandRefusedError"] is Exit.CONFLICT


def test_the_help_names_every_exit_code_in_use() -> None:
    from taskengine.cli.main import EPILOG

    assert all(f" {code.value} " in EPILOG for code in Exit if code not in {Exit.NOT_ALLOWED, Exit.COMPENSATED})


def test_both_commands_are_installed() -> None:
    home = Path(sys.executable).parent
    said = {
        subprocess.run([home / name, "version"], capture_output=True, text=True, check=True).stdout
        for name in ("te", "task-engine")
    }
    assert len(said) == 1

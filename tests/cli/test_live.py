"""The live view: what a frame holds at any size of terminal, and that a real terminal is repainted gently."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import struct
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from fcntl import ioctl
from termios import TIOCSWINSZ

import pytest

from taskengine.app.engine import Engine
from taskengine.app.follow import Follower
from taskengine.app.inspect import Inspector
from taskengine.cli.live import FOLDED_ABOVE, frame
from taskengine.cli.terminal import Look, cells
from taskengine.model.status import Phase
from taskengine.model.workflow import OnError, RetryPolicy, Step, Workflow
from tests.cli.programs import PATIENCE_S, PROGRAM, Folder

PLAIN = Look(is_terminal=True, is_live=True, has_color=False, has_unicode=True)
ASCII = PLAIN._replace(has_unicode=False)
COLORED = PLAIN._replace(has_color=True)


def workflow(*, quick: int, stuck: int = 0, failing: int = 0, retrying: int = 0) -> Workflow:
    """Steps without dependencies that end, stay, fail, or wait an hour for their second attempt."""
    call = {name: {"function": name} for name in ("quick", "stuck", "failing")}
    steps = [Step(id=f"quick_{index}", type="function", config=call["quick"]) for index in range(quick)]
    steps += [Step(id=f"stuck_{index}", type="function", config=call["stuck"]) for index in range(stuck)]
    steps += [
        Step(id=f"bad_{index}", type="function", config=call["failing"], on_error=OnError.CONTINUE) for index in range(failing)
    ]
    later = RetryPolicy(max_attempts=2, initial_interval_ms=3_600_000, jitter=0.0, max_interval_ms=3_600_000)
    steps += [Step(id=f"later_{index}", type="function", config=call["failing"], retry=later) for index in range(retrying)]
    return Workflow(name="shown", steps=tuple(steps))


@asynccontextmanager
async def followed(shown: Workflow, **expected: int) -> AsyncIterator[Follower]:
    """The workflow, started, as it is committed when so many tasks are in these phases."""

    async def stuck() -> None:
        await asyncio.Event().wait()

    async def quick() -> None:
        """End at once."""

    async def failing() -> None:
        raise ValueError("no\x1b[31m good\nat all")

    engine = Engine(":memory:", functions={"stuck": stuck, "quick": quick, "failing": failing})
    async with engine:
        execution = await engine.execute_workflow(shown)
        follower = await Inspector(engine.store, engine.node.environment).follower(execution.id)
        async with asyncio.timeout(PATIENCE_S):
            while any(follower.state.counts[Phase[name]] != count for name, count in expected.items()):
                await asyncio.sleep(0)
                await follower.read()
        yield follower
        if not follower.state.is_finished:
            await engine.terminate_instance(execution.id)


def picture(follower: Follower, *, width: int = 100, height: int = 40, style: Look = PLAIN) -> list[str]:
    return frame(follower, now=follower.state.at + 1_500, style=style, width=width, height=height)


async def test_a_small_workflow_has_a_header_and_a_line_for_each_task() -> None:
    async with followed(
        workflow(quick=1, stuck=1, failing=1, retrying=1), COMPLETED=1, RUNNING=1, FAILED=1, RETRYING=1
    ) as follower:
        lines = picture(follower)
    assert re.fullmatch(r"shown  ex_\w{26}  ● running  0:00:01  ▓{8}░{8} 1/4 \(25%\)", lines[0])
    assert [line.split()[:3] for line in lines[1:]] == [
        ["✔", "quick_0", "completed"],
        ["●", "stuck_0", "running"],
        ["✖", "bad_0", "failed"],
        ["↻", "later_0", "waiting"],
    ]
    assert lines[4].endswith(r"ValueError: no\x1b[31m good\x0aat all")
    assert re.search(r"again in 59m5[89]s after", lines[4])


async def test_what_users_write_cannot_move_the_cursor() -> None:
    async with followed(workflow(quick=0, failing=1), FAILED=1) as follower:
        for style in (PLAIN, ASCII, COLORED):
            text = "".join(picture(follower, style=style))
            assert re.sub(r"\x1b\[[0-9;]*m", "", text).isprintable()


async def test_many_tasks_are_counted_and_only_those_that_need_attention_have_a_line() -> None:
    shown = workflow(quick=80, stuck=3, failing=2, retrying=1)
    async with followed(shown, COMPLETED=80, RUNNING=3, FAILED=2, RETRYING=1) as follower:
        lines = picture(follower)
    assert [line.split()[1] for line in lines[1:-1]] == ["stuck_0", "stuck_1", "stuck_2", "bad_0", "bad_1", "later_0"]
    assert lines[-1] == "  80 completed, 2 failed, 3 running, 1 waiting"


async def test_failures_come_first_when_there_is_not_even_room_for_what_needs_attention() -> None:
    async with followed(workflow(quick=0, stuck=60, failing=2), RUNNING=60, FAILED=2) as follower:
        lines = picture(follower)
    assert len(lines) == FOLDED_ABOVE + 2
    assert {"bad_0", "bad_1"} <= {line.split()[1] for line in lines[1:-1]}


@pytest.mark.parametrize("height", [1, 2, 3, 4, 5, 10, 24, 60])
@pytest.mark.parametrize("width", [20, 40, 80, 200])
async def test_a_frame_fits_the_terminal(width: int, height: int) -> None:
    async with followed(workflow(quick=3, stuck=30, failing=1, retrying=1), RUNNING=30, RETRYING=1, FAILED=1) as follower:
        for style in (PLAIN, ASCII):
            lines = picture(follower, width=width, height=height, style=style)
            assert 1 <= len(lines) <= max(1, height - 1)
            if width >= 60:
                assert max(cells(line) for line in lines) <= width


async def test_a_narrow_header_keeps_enough_of_the_id_to_name_the_execution() -> None:
    async with followed(workflow(quick=1, stuck=1), COMPLETED=1, RUNNING=1) as follower:
        header = picture(follower, width=60)[0]
        assert re.fullmatch(rf"shown  {follower.state.execution_id[-8:]}  ● running  0:00:01  1/2 \(50%\)", header)


async def test_marks_are_plain_where_the_terminal_has_no_others() -> None:
    async with followed(workflow(quick=1, stuck=1, failing=1), COMPLETED=1, RUNNING=1, FAILED=1) as follower:
        text = "\n".join(picture(follower, style=ASCII))
    assert text.isascii()
    assert "[ok] quick_0" in text
    assert "[!!] bad_0" in text


# ── on a real terminal ───────────────────────────────────────────────────────────────────────────────────────────────


def on_terminal(folder: Folder, *words: str, **environment: str) -> tuple[int, str]:
    """Run a command whose output and errors go to a terminal of 80 columns and 24 lines; what it wrote there."""
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    surroundings = folder.environment | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"} | environment
    process = subprocess.Popen([PROGRAM, *words], cwd=folder.path, env=surroundings, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = bytearray()
    with suppress(OSError):  # how the other end's closing is told
        while chunk := os.read(ours, 65_536):
            written += chunk
    os.close(ours)
    return process.wait(timeout=PATIENCE_S), written.decode()


@pytest.mark.processes
def test_a_terminal_is_repainted_in_place_and_what_steps_print_stands_above(folder: Folder) -> None:
    code, written = on_terminal(folder, "run", "hello.yaml", "-i", "who=Ada")
    assert code == 0
    assert "\x1b[?25l" in written  # the cursor is hidden
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")  # and given back
    assert "greet prints this" in written
    assert re.search(r"✔ greet +completed", written)
    assert "status=" not in written
    assert written.count("hello\x1b") <= 12
    assert '"greeting": "Hello Ada"' in written


@pytest.mark.processes
def test_no_color_means_no_colour_and_the_words_stay(folder: Folder) -> None:
    _, colored = on_terminal(folder, "run", "hello.yaml", "-i", "who=Ada")
    assert re.search(r"\x1b\[[0-9;]*3\d", colored)
    _, plain = on_terminal(folder, "run", "hello.yaml", "-i", "who=Ada", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*m", plain)
    assert re.search(r"✔ greet +completed", plain)


@pytest.mark.processes
def test_a_dumb_terminal_gets_lines(folder: Folder) -> None:
    _, written = on_terminal(folder, "run", "hello.yaml", "-i", "who=Ada", TERM="dumb")
    assert "step=greet status=completed" in written
    assert "\x1b" not in written


@pytest.mark.processes
def test_a_terminal_without_unicode_gets_plain_marks(folder: Folder) -> None:
    _, written = on_terminal(folder, "run", "hello.yaml", "-i", "who=Ada", PYTHONIOENCODING="latin-1", PYTHONUTF8="0")
    assert "[ok] greet" in written
    assert written.isascii()


@pytest.mark.processes
def test_times_on_a_terminal_are_told_as_ages(folder: Folder) -> None:
    folder.run("run", "partial.yaml")
    _, written = on_terminal(folder, "instance", "list")
    assert re.search(r"(just now|\ds ago|\d\ds ago)", written)
    assert "\x1b[32m" in written

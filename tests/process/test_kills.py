"""Kill -9 of children, of those who keep them, and of the engine, during scripts and functions in processes of their own.

Each work is begun twice at most: hangs the first time, with a process below that left its session, and ends at once the second
time. Whoever is killed: nothing of the first one is left, the second one's result is taken, and it is taken once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from taskengine import Engine, RetryPolicy, Workflow
from taskengine.model.status import Status
from tests.durability.histories import histories
from tests.process.scene import PATIENCE_S, apart, parent_of, running, script, until

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
POLICY = RetryPolicy(max_attempts=2, initial_interval_ms=1, max_interval_ms=1)
HANGS_ONCE = """\
echo x >> {folder}/begun
if [ $(wc -l < {folder}/begun) = 1 ]; then
    MARK={folder} setsid sh -c 'sleep 1000 & sleep 1000' &
    touch {folder}/began
    sleep 1000
fi
echo '"begun 2"' > $TASK_ENGINE_OUTPUT
"""
KINDS = ["script", "sandbox", "function"]


def work(kind: str, folder: Path) -> Workflow:
    if kind == "function":
        return apart("tests.process.functions:hang_once", mark=str(folder), folder=str(folder), step={"retry": POLICY})
    step = {"retry": POLICY, "isolation": "sandbox"} if kind == "sandbox" else {"retry": POLICY}
    code = HANGS_ONCE.format(folder=folder)
    if kind == "sandbox":  # its files can be written to nowhere else, so it hangs until somebody else says that it began
        code = f"if [ ! -e {folder}/began ]; then MARK={folder} setsid sleep 1000 & sleep 1000; fi\n" + HANGS_ONCE.splitlines()[-1]
    return script(code, runtime="sh", step=step)


def result_of(output: object) -> object:
    return output["result"] if isinstance(output, dict) else output


def victims(folder: Path) -> dict[str, int]:
    """The child, its keeper and the spawner, found from the process below that carries the mark."""
    below = running(f"MARK={folder}")
    chain: list[int] = []
    pid = below[0]
    while pid > 1:
        chain.append(pid)
        pid = parent_of(pid)
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in chain}
    ours = [pid for pid in chain if b"adapters.process.spawner" in commands[pid]]
    keeper = next(pid for pid in ours if pid != ours[-1])
    child = chain[chain.index(keeper) - 1]
    return {"child": child, "keeper": keeper, "spawner": ours[-1]}


def boxes(keeper: int) -> list[str]:
    """What is left of the files of a keeper's child."""
    roots = {tempfile.gettempdir(), "/dev/shm"}
    return [one.name for root in roots for one in Path(root).glob(f"task-engine-{keeper}-*")]


async def begin(kind: str, folder: Path) -> None:
    """The work has begun and hangs, and there is a process below."""
    await until(lambda: running(f"MARK={folder}") != [], "it begins")
    if kind == "sandbox":
        (folder / "began").touch()


def slay(pid: int) -> None:
    """SIGKILL. The second of two may have gone with the first already: that is what is asked for."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("victim", ["child", "keeper", "child and keeper", "spawner and keeper"])
async def test_a_killed_child_is_a_failed_attempt_and_nothing_of_it_is_left(victim: str, kind: str, tmp_path: Path) -> None:
    async with Engine(tmp_path / "work.db") as engine:
        workflow = work(kind, tmp_path)
        await engine.deploy(workflow, source=str(tmp_path))
        execution = await engine.execute_workflow(workflow.name)
        await begin(kind, tmp_path)
        found = victims(tmp_path)
        before = set(running(f"MARK={tmp_path}"))
        for name in victim.split(" and "):
            slay(found[name])
        result = await execution.result(timeout=PATIENCE_S)
        assert result.status is Status.COMPLETED
        assert result_of(result.output) == "begun 2"
        if "spawner" not in victim:  # with both keeper and spawner gone only a sandbox ends whoever left the session
            await until(lambda: not before & set(running(f"MARK={tmp_path}")), "nothing is left")
    await until(lambda: boxes(found["keeper"]) == [], "no input is left")
    while left := running(f"MARK={tmp_path}"):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert "spawner" in victim
        assert kind != "sandbox", "a sandbox leaves nothing"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("victim", ["engine", "engine and child", "engine and keeper", "engine and spawner", "child and engine"])
async def test_a_killed_engine_leaves_no_process_and_the_next_one_goes_on(victim: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "workflow.json").write_bytes(msgspec.json.encode(work(kind, tmp_path)))
    command = [sys.executable, "-m", "tests.process.engine_program", str(tmp_path / "work.db"), str(tmp_path / "workflow.json")]
    first = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    await begin(kind, tmp_path)
    pids = victims(tmp_path) | {"engine": first.pid}
    for name in victim.split(" and "):
        slay(pids[name])
    said, _ = await first.communicate()
    assert len(said.splitlines()) == 1
    await until(lambda: running(f"MARK={tmp_path}") == [], "no process is left")
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids.values()), "nor one of those that kept it")
    await until(lambda: boxes(pids["keeper"]) == [], "nor an input")
    second = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    said_next, _ = await asyncio.wait_for(second.communicate(), PATIENCE_S)
    execution_id, output = said_next.decode().splitlines()
    assert execution_id == said.decode().strip()
    assert result_of(msgspec.json.decode(output)) == "begun 2"
    async with Engine(tmp_path / "work.db") as engine:
        (history,) = await histories(engine.store)
    assert [type(event).__name__ for event in history.events].count("TaskCompleted") == 1

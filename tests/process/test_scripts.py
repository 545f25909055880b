"""Script steps through the engine: what they are given, what they give, how they are bounded and ended."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from taskengine import Engine, Step, Workflow
from taskengine.define import load_text
from taskengine.errors import NotFoundError
from taskengine.model.status import Status
from taskengine.model.workflow import Isolation
from tests.process.scene import PATIENCE_S, outcome, running, said, script, until

pytestmark = pytest.mark.processes

READ = "import json, os, sys\ngiven = json.load(sys.stdin)\n"
GIVE = 'json.dump(value, open(os.environ["TASK_ENGINE_OUTPUT"], "w"))\n'
# Ends by itself, so that a broken bound does not hurt the machine.
BOMB = "import os, time\nend = time.monotonic() + 3\nwhile time.monotonic() < end:\n    os.fork()\n"
DEMONS = BOMB + "    os.getpid() == os.getpgid(0) or os.setsid()\n"


def error_of(result: Any) -> str:
    assert result.status is Status.FAILED
    return f"{result.error.type}: {result.error.message}"


async def test_a_script_gets_its_params_and_gives_a_result_and_its_streams() -> None:
    code = (
        READ
        + 'value = [given, json.load(open(os.environ["TASK_ENGINE_INPUT"]))]\n'
        + GIVE
        + 'print("out", sys.argv[1:])\nprint("err", file=sys.stderr)'
    )
    result = await outcome(script(code, params={"n": 1}, args=["one", 2]))
    assert result.output == {
        "result": [{"n": 1}, {"n": 1}],
        "stdout": "out ['one', '2']\n",
        "stderr": "err\n",
        "exit_code": 0,
    }


async def test_a_document_names_scripts_beside_it_and_gives_them_what_earlier_ones_made(tmp_path: Path) -> None:
    (tmp_path / "count.py").write_text(READ + 'value = given["n"] + 1\n' + GIVE)
    (tmp_path / "show.sh").write_text('cat "$TASK_ENGINE_INPUT"; echo "$WORD"; pwd')
    document = """
        name: two
        steps:
          - {id: count, type: script, config: {script: count.py, params: {n: "{{ input.n }}"}}}
          - id: show
            type: script
            depends_on: [count]
            config: {script: show.sh, env: {WORD: "w-{{ steps.count.output.result }}"}}
            input_mapping: {n: "{{ steps.count.output.result }}"}
        output: "{{ steps.show.output.stdout }}"
    """
    async with Engine(tmp_path / "work.db") as engine:
        workflow = load_text(document, file="two.yaml").require()
        await engine.deploy(workflow, source=str(tmp_path))
        result = await (await engine.execute_workflow("two", params={"n": 1})).result(timeout=PATIENCE_S)
    assert result.output == f'{{"n":2}}w-2\n{tmp_path}\n'


async def test_the_text_of_a_script_is_no_template() -> None:
    result = await outcome(script("echo '{{ input.x }}'", runtime="sh"))
    assert result.output["stdout"] == "{{ input.x }}\n"


async def test_a_script_inherits_no_secret_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANK_PASSWORD", "hunter2")
    result = await outcome(script("env; cat /proc/$PPID/environ", runtime="sh", env={"GIVEN": "yes"}))
    assert "hunter2" not in result.output["stdout"]
    assert "GIVEN=yes" in result.output["stdout"]


async def test_what_a_script_says_is_in_the_log_of_its_task() -> None:
    async with Engine(":memory:") as engine:
        execution = await engine.execute_workflow(script("echo one; echo two >&2; printf three", runtime="sh"))
        await execution.result(timeout=PATIENCE_S)
        await said(engine, execution.id, {("stdout", "one"), ("stderr", "two"), ("stdout", "three")})


@pytest.mark.parametrize(
    ("code", "config", "words"),
    [
        ("echo why >&2; exit 3", {}, "ScriptError: /a/ exit code 3\nwhy"),
        ("kill -SEGV $$", {}, "ScriptError: /a/ killed by SIGSEGV"),
        (
            "while :; do :; done",
            {"limits": {"cpu": "500ms"}},
            "ScriptError: /a/ cpu_limit: it used more than 0.5 s of processor time",
        ),
        ("while :; do :; done", {"timeout": "500ms"}, "Timeout: "),
        ("yes", {}, "ScriptError: /a/ output_limit: it wrote more than 16777216 bytes to stdout and stderr"),
        ("yes >&2", {"limits": {"output": "1MiB"}}, "ScriptError: /a/ output_limit: it wrote more than 1048576 bytes"),
        ("head -c 100000 /dev/zero > file", {"limits": {"file_size": "10kB"}}, "ScriptError: /a/ "),
        ("echo '{' > $TASK_ENGINE_OUTPUT", {}, "ScriptError: /a/ what it wrote to the file named by TASK_ENGINE_OUTPUT is no JSON"),
        ("ln -s /etc/passwd $TASK_ENGINE_OUTPUT", {}, "ScriptError: /a/ the file of the result cannot be read"),
        ("mkfifo $TASK_ENGINE_OUTPUT", {}, "ScriptError: /a/ what stands in place of the result is no regular file"),
        (
            "truncate -s 1T $TASK_ENGINE_OUTPUT",
            {"limits": {"file_size": "2TiB"}},
            "PayloadTooLarge: /a/ the result has more than the 16777216 bytes that are allowed",
        ),
        ("truncate -s 17M $TASK_ENGINE_OUTPUT; exit 3", {}, "PayloadTooLarge: /a/ the result has more than the 16777216 bytes"),
    ],
)
async def test_a_script_that_goes_wrong_is_stopped_and_named(code: str, config: dict[str, Any], words: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    result = await outcome(script(code, runtime="sh", cwd="folder", **config), source=str(tmp_path))
    assert error_of(result).startswith(words)


async def test_a_script_that_goes_on_writing_a_result_nobody_can_keep_is_stopped_before_its_end(tmp_path: Path) -> None:
    code = f"echo hey >&2; truncate -s 17M $TASK_ENGINE_OUTPUT; sleep 1000; echo 'went on' > {tmp_path}/mark"
    result = await outcome(script(code, runtime="sh", env={"MARK": str(tmp_path)}))
    assert error_of(result) == "PayloadTooLarge: /a/ the result has more than the 16777216 bytes that are allowed\nhey"
    assert running(f"MARK={tmp_path}") == []


async def test_too_much_memory_is_named() -> None:
    code = "hold = []\nwhile True:\n    hold.append(bytearray(b'x' * 1_000_000))\n"
    error = error_of(await outcome(script(code, limits={"memory": "64MiB"})))
    assert "memory_limit" in error or "MemoryError" in error  # the kernel's wall may stand before the next look


@pytest.mark.parametrize("code", [BOMB, DEMONS], ids=["in its group", "in sessions of their own"])
async def test_a_fork_bomb_is_stopped_and_named_and_nothing_of_it_is_left(code: str, tmp_path: Path) -> None:
    mark = f"MARK={tmp_path}"
    result = await outcome(script(code, limits={"processes": 40}, env={"MARK": str(tmp_path)}))
    assert error_of(result).startswith("ScriptError: /a/ process_limit: it started more than 40 processes")
    assert running(mark) == []


async def test_what_a_script_leaves_behind_is_ended_and_named(tmp_path: Path) -> None:
    mark = f"MARK={tmp_path}"
    async with Engine(":memory:") as engine:
        code = "sleep 1000 & setsid sleep 1000 & (setsid sh -c 'sleep 1000 & sleep 1000' &) ; sleep 0.2; echo done"
        execution = await engine.execute_workflow(script(code, runtime="sh", env={"MARK": str(tmp_path)}))
        result = await execution.result(timeout=PATIENCE_S)
        assert result.output["stdout"] == "done\n"
        assert running(mark) == []
        await said(engine, execution.id, {("engine", "5 processes that it left behind had to be ended")})


async def test_a_cancelled_script_may_clean_up_and_is_gone(tmp_path: Path) -> None:
    mark = f"MARK={tmp_path}"
    code = f"trap 'touch {tmp_path}/cleaned; exit' TERM; setsid sleep 1000 & touch {tmp_path}/began; while :; do sleep 0.05; done"
    async with Engine(":memory:") as engine:
        execution = await engine.execute_workflow(script(code, runtime="sh", env={"MARK": str(tmp_path)}))
        await until((tmp_path / "began").exists, "it begins")
        await engine.cancel_instance(execution.id)
        assert (await execution.result(timeout=PATIENCE_S)).status is Status.CANCELLED
        await until(lambda: running(mark) == [], "all of it ends")
    assert (tmp_path / "cleaned").exists()


async def test_who_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    mark = f"MARK={tmp_path}"
    code = f"trap '' TERM; touch {tmp_path}/began; while :; do sleep 0.05; done"
    async with Engine(":memory:") as engine:
        execution = await engine.execute_workflow(script(code, runtime="sh", env={"MARK": str(tmp_path)}))
        await until((tmp_path / "began").exists, "it begins")
        await engine.terminate_instance(execution.id)
        await execution.result(timeout=PATIENCE_S)
        await until(lambda: running(mark) == [], "all of it ends")


async def test_a_script_that_takes_longer_than_its_step_may_is_gone(tmp_path: Path) -> None:
    mark = f"MARK={tmp_path}"
    result = await outcome(
        script("setsid sleep 1000 & sleep 1000", runtime="sh", env={"MARK": str(tmp_path)}, step={"timeout_ms": 300})
    )
    assert result.error is not None
    assert result.error.type == "Timeout"
    assert running(mark) == []  # the engine has stopped, and with it everything of its children


async def test_a_missing_file_is_named_before_anything_starts() -> None:
    workflow = Workflow(name="one", steps=(Step(id="a", type="script", config={"script": "load.py"}),))
    async with Engine(":memory:") as engine:
        with pytest.raises(NotFoundError, match=r'the file "load\.py" beside the document does not exist'):
            await engine.execute_workflow(workflow)


SANDBOX = "touch /etc/written; touch file && echo wrote; ls /proc | grep -c '^[0-9]*$'; cat /proc/net/dev | grep -c :; echo $HOME"


async def test_a_sandbox_shows_nothing_writable_but_its_own(tmp_path: Path) -> None:
    workflow = script(SANDBOX, runtime="sh", step={"isolation": Isolation.STRICT})
    result = await outcome(workflow, source=str(tmp_path))
    if result.error is not None:  # a machine without namespaces: then strict refuses by name
        assert result.error.type == "ExecutorUnavailable"
        assert "needs Linux namespaces" in result.error.message
        return
    processes, interfaces, home = result.output["stdout"].split()
    assert (int(interfaces), home) == (1, "/tmp/home")
    assert int(processes) < 10
    assert not any(Path(one).exists() for one in (tmp_path / "file", "/etc/written"))  # noqa: ASYNC240 -- nothing else runs


async def test_a_fork_bomb_in_a_sandbox_is_stopped(tmp_path: Path) -> None:
    mark = f"MARK={tmp_path}"
    workflow = script(DEMONS, limits={"processes": 40}, env={"MARK": str(tmp_path)}, step={"isolation": Isolation.SANDBOX})
    assert "process_limit" in error_of(await outcome(workflow))
    assert running(mark) == []


async def test_python_scripts_run_with_what_the_engine_has() -> None:
    result = await outcome(script("import msgspec, sys; print(sys.executable)"))
    assert os.path.samefile(result.output["stdout"].strip(), sys.executable)  # noqa: ASYNC240, PTH121 -- nothing else runs

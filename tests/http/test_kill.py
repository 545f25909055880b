"""A process that is killed while it waits for an answer: another one asks again, with the same key, and the other side can tell."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from tests.http.server import Received, Server, json_answer


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.http.program", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


@pytest.mark.processes
async def test_a_killed_call_is_made_again_with_the_same_key_and_taken_once(server: Server, tmp_path: Path) -> None:
    payments: dict[str, int] = {}
    asked, gone = asyncio.Event(), asyncio.Event()

    async def pay(request: Received, writer: asyncio.StreamWriter) -> None:
        payments[request.headers["idempotency-key"]] = payments.get(request.headers["idempotency-key"], 0) + 1
        asked.set()
        if len(server.received) == 1:  # paid, and the answer never arrives
            await request.reader.read(1)
            gone.set()
        writer.write(json_answer({"payments": len(payments)}))

    url = server.on("/pay", pay)
    store = str(tmp_path / "work.db")
    first = await start(store, url)
    await asyncio.wait_for(asked.wait(), 60)
    first.send_signal(signal.SIGKILL)
    await first.wait()
    await asyncio.wait_for(gone.wait(), 60)
    second = await start(store)
    output, errors = await asyncio.wait_for(second.communicate(), 60)
    assert second.returncode == 0, errors.decode()
    execution_id, status, _ = output.decode().split(" ", 2)
    assert (status, payments) == ("completed", {f"{execution_id}/call/": 2})
    assert "'payments': 1" in output.decode()
    assert len(server.received) == 2

"""A process that makes one call and may be killed at any moment: ``program STORE URL`` starts, ``program STORE`` goes on."""

from __future__ import annotations

import asyncio
import sys

from taskengine import EgressPolicy, Engine
from tests.http.steps import one


async def main(store: str, url: str) -> None:
    async with Engine(store, egress=EgressPolicy(allow_loopback=True)) as engine:
        if url:
            execution_id = (await engine.execute_workflow(one({"url": url, "method": "POST", "json": {"amount": 10}}))).id
        else:
            (row,) = await engine.store.executions(_ALL, limit=10)
            execution_id = row.execution_id
        result = await engine.wait_for_instance(execution_id, timeout=60)
        print(execution_id, result.status.value, result.output, flush=True)


if __name__ == "__main__":
    from taskengine.ports.store import ExecutionFilter

    _ALL = ExecutionFilter()
    asyncio.run(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))

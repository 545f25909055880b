"""An engine as a program: it runs the workflow that it is given on a database, and says how it ended. Tests kill it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import msgspec

from taskengine import Engine, Workflow


async def main(database: str, document: str) -> None:
    async with Engine(database) as engine:
        workflow = msgspec.json.decode(Path(document).read_bytes(), type=Workflow)  # noqa: ASYNC240 -- nothing else runs yet
        await engine.deploy(workflow, source=str(Path(document).parent))
        execution = await engine.execute_workflow(workflow.name, idempotency_key="one")
        print(execution.id, flush=True)
        result = await execution.result()
        print(json.dumps(result.output), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""What a start loads: a program with one plain step pays for nothing that it does not use."""

from __future__ import annotations

import subprocess
import sys

import pytest

IMPORT = "from taskengine import Engine, Step, Workflow\n"
RUN = """
async def hello():
    return 1

async def main():
    step = Step(id="a", type="function", config={"function": "hello"})
    async with Engine(":memory:", functions={"hello": hello}) as engine:
        await (await engine.execute_workflow(Workflow(name="w", steps=(step,)))).result()

asyncio.run(main())
"""
# Module → what it would be needed for.
SPARED = {
    "difflib": "suggestions",
    "importlib.resources": "nothing",
    "json": "documents that hold a null",
    "taskengine.define.codes": "findings",
    "taskengine.define.http": "http steps",
    "taskengine.define.references": "expressions",
    "taskengine.define.script": "script steps",
    "taskengine.define.shape": "documents",
    "taskengine.define.validator": "schemas of inputs",
    "taskengine.expr.compiler": "expressions",
    "taskengine.expr.interpreter": "expressions",
    "taskengine.runtime.liveness": "heartbeats and progress",
    "taskengine.runtime.redaction": "secrets",
}


def loaded(program: str) -> set[str]:
    program = f"import asyncio, sys\n{IMPORT}{program}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("program", ["", RUN], ids=["an import", "one step"])
def test_a_start_loads_only_what_is_used(program: str) -> None:
    assert {name: SPARED[name] for name in loaded(program) & SPARED.keys()} == {}


def test_the_class_of_an_engine_is_imported_without_what_an_engine_is_made_of() -> None:
    names = loaded("")
    assert {name for name in names if name.startswith(("taskengine.adapters", "taskengine.kernel", "taskengine.define."))} == {
        "taskengine.define.declared"
    }

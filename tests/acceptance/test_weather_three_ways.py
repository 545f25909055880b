"""The weather pipeline as a document, with the builder and with decorators: the same graph, the same result."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from taskengine import Engine, Step, Workflow
from taskengine.define import from_document, load_file, load_text, to_document
from taskengine.model.status import Status

pytestmark = pytest.mark.acceptance

EXAMPLE = Path(__file__).parents[2] / "examples" / "weather"
CLEAN = EXAMPLE / "data" / "seattle-weather.csv"
BROKEN = EXAMPLE / "data" / "seattle-weather-defects.csv"
OWN = ("as_builder", "as_decorators", "pipeline", "chart")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The two programs, imported as they are when they stand beside their functions."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    for name in OWN:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield {name: importlib.import_module(name) for name in OWN[:2]}
    for name in OWN:
        sys.modules.pop(name, None)


def document() -> Workflow:
    return load_file(EXAMPLE / "weather.yaml").require()


def bound_by_name(step: Step) -> Step:
    """The step with `combine` left to be filled by the dependency of that name, as the document does it."""
    params: dict[str, Any] = dict(step.config["params"])
    if params.get("combine") == "{{ steps.combine.output }}":
        del params["combine"]
    return msgspec.structs.replace(step, config={**step.config, "params": params})


def test_the_builder_gives_exactly_the_workflow_of_the_document(example: dict[str, ModuleType]) -> None:
    assert example["as_builder"].weather.workflow == document()


def test_the_decorators_give_the_same_graph(example: dict[str, ModuleType]) -> None:
    declared: Workflow = example["as_decorators"].weather.workflow
    assert tuple(map(bound_by_name, declared.steps)) == document().steps
    for attribute in ("name", "version", "description", "variables", "limits", "output"):
        assert getattr(declared, attribute) == getattr(document(), attribute)
    assert declared.input_schema is not None
    assert declared.input_schema["required"] == ["csv", "workdir"]


@pytest.mark.parametrize("name", OWN[:2])
def test_they_become_documents_without_loss(example: dict[str, ModuleType], name: str) -> None:
    declared = example[name].weather.declared()
    assert load_text(declared.to_yaml(), file="weather.yaml").require() == declared.workflow
    assert from_document(to_document(declared.workflow)) == declared.workflow


@pytest.mark.parametrize("source", [CLEAN, BROKEN], ids=["clean", "defects"])
async def test_all_three_give_the_same_result(example: dict[str, ModuleType], source: Path, tmp_path: Path) -> None:
    outputs: list[dict[str, Any]] = []
    reports: list[str] = []
    ways: list[Any] = [document(), example["as_builder"].weather, example["as_decorators"].weather]
    for number, way in enumerate(ways):
        workdir = tmp_path / str(number)
        async with Engine(":memory:") as engine:
            stored = await engine.deploy(way, source=str(EXAMPLE) if number == 0 else "")
            execution = await engine.execute_workflow(stored, params={"csv": str(source), "workdir": str(workdir)})
            result = await execution.result(timeout=60)
        assert result.status is Status.COMPLETED
        output: Any = result.output
        outputs.append({key: value for key, value in output.items() if not str(value).startswith(str(workdir))})
        reports.append((workdir / "report.md").read_text(encoding="utf-8").replace(str(workdir), ""))
    assert outputs[0] == outputs[1] == outputs[2]
    assert outputs[0]["table_rows"] == 48
    assert reports[0] == reports[1] == reports[2]

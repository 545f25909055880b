"""The orders example: steps inside of others, run as its README says, and tested as its authors would."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskengine.errors import NotFoundError
from taskengine.model.value import Json
from taskengine.testing import explore_crashes, virtual_engine
from tests.cli.programs import Folder

pytestmark = [pytest.mark.acceptance, pytest.mark.processes]

EXAMPLE = Path(__file__).parents[2] / "examples" / "orders"
DOCUMENT = EXAMPLE / "orders.yaml"
ORDERS: list[Json] = [
    {"id": 1, "what": "cup", "count": 6},
    {"id": 2, "what": "table", "count": 1},
    {"id": 3, "what": "boat", "count": 1},
]


def test_it_runs_as_its_page_says(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    ended = folder.run("run", str(DOCUMENT), "--input", f"@{EXAMPLE / 'orders.json'}")
    assert (ended.code, ended.data) == (
        12,  # partial: one order failed
        {"priced": [{"order": 1, "total": 24}, {"order": 2, "total": 240}, None], "total": 264},
    )
    tasks = {one["path"]: one for one in folder.run("instance", "tasks", "@latest", "-o", "json").data["items"]}
    assert tasks["/each/[2]/price/"]["error_code"] == "KeyError"
    assert tasks["/each/[1]/size/large/both/office/invoice/"]["status"] == "completed"
    assert tasks["/each/[0]/size/else/pack/"]["status"] == "completed"
    assert "/carrier/[2]/ask/" in tasks
    assert "/carrier/[3]/" not in tasks


def test_its_steps_are_claimed_by_path() -> None:
    with virtual_engine() as engine:
        engine.step("each/[0]/price").fails(1, error=ConnectionError("no route"))
        history = engine.run(DOCUMENT, params={"orders": ORDERS[:2]}).history
    history.ended("completed", outcome="partial")
    history.failed("each/[0]/price", error="ConnectionError")
    history.skipped("each/[0]/size")
    history.order("each/[1]/price", "each/[1]/size/large/both/stock/reserve", "carrier")
    assert history.output_of("each/[1]/size/large/both") == {"stock": "reserved goods for 240", "office": "an invoice over 240"}
    with pytest.raises(NotFoundError, match="none was opened"):
        history.completed("each/[0]/size/else/pack")


def test_too_many_failures_break_its_rule() -> None:
    with virtual_engine() as engine:
        history = engine.run(DOCUMENT, params={"orders": [ORDERS[0], ORDERS[2], ORDERS[2]]}).history
    history.failed("each", error="KeyError")
    history.skipped("sum", "carrier")


def test_wherever_it_crashes_it_ends_alike() -> None:
    assert explore_crashes(DOCUMENT, {"orders": ORDERS[1:2]}).points

"""Steps of the orders: plain functions, which know nothing of the workflow."""

from __future__ import annotations

from typing import Any

PRICES = {"cup": 4, "lamp": 60, "table": 240}


def price(item: dict[str, Any]) -> dict[str, Any]:
    """What an order comes to; an order of something that there is not fails."""
    return {"order": item["id"], "total": PRICES[item["what"]] * item["count"]}


def reserve(total: int) -> str:
    """Take it from the stock."""
    return f"reserved goods for {total}"


def invoice(total: int) -> str:
    """Write to the customer."""
    return f"an invoice over {total}"


def ask(index: int) -> dict[str, Any]:
    """Ask the carrier, who comes with the third question."""
    return {"is_there": index == 2}

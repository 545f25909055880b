"""What must be equal for a condition to hold, read from its text."""

from __future__ import annotations

import pytest

from taskengine.expr import equalities, expression


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("event.id == item", [(("id",), "item")]),
        ("item == event.id", [(("id",), "item")]),
        ("event == item", [((), "item")]),
        ('event.a["b c"][0].d == input.x + 1', [(("a", "b c", 0, "d"), "input.x + 1")]),
        ('event.kind == "paid" and event.id == item.id', [(("kind",), '"paid"'), (("id",), "item.id")]),
        ("(event.id == item) and (event.n > 3 and (index == event.at))", [(("id",), "item"), (("at",), "index")]),
        ("event.and == (item if index > 1 else none)", [(("and",), "(item if index > 1 else none)")]),
        ("event.id == item|upper", [(("id",), "item|upper")]),
        ("event.id == item is none", [(("id",), "item is none")]),
        ("not event.ok and event.id == item", [(("id",), "item")]),
        ("event.ok", []),
        ("event.id != item", []),
        ("event.id == event.other", []),
        ("event.id == item or event.ok", []),
        ("event.id == item if index > 1 else true", []),
        ("event.ok and event.id == item or true", []),
        ("not event.id == item", []),
        ("not (event.id == item)", []),
        ("event.id + 1 == item", []),
        ("event.id|lower == item", []),
        ("event[index] == item", []),
        ("event.id[1:] == item", []),
        ("(event.id == item) == true", []),
        ("[event.id == item][0]", []),
    ],
)
def test_the_parts_that_and_joins_count_where_one_side_is_the_name_and_the_other_does_not_read_it(
    source: str, found: list[tuple[tuple[str | int, ...], str]]
) -> None:
    assert [(path, value.source) for path, value in equalities(expression(source), "event")] == found

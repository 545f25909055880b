"""What the random suites have to see is everything that there is: no event, command or refusal is on neither list."""

from __future__ import annotations

import re
from pathlib import Path

from taskengine import kernel
from taskengine.kernel.decide import DECIDE
from taskengine.model.event import EVENT_TYPES
from tests.kernel.seen import COMMANDS, NESTED, REFUSALS, Seen, required

SOURCE = Path(next(iter(kernel.__path__)))
# Of what a fork takes over, and of a start with a business key: test_fork and test_data see these.
ELSEWHERE = {"fork_inside_group", "fork_too_large", "bad_business_key"}


def refused_by_name() -> set[str]:
    """Every name by which the kernel refuses a command, read in its source."""
    text = "".join(file.read_text(encoding="utf-8") for file in sorted(SOURCE.glob("*.py")))
    return set(re.findall(r'(?:CommandRefusedError|LimitError|NotFoundError)\(\s*"([a-z_]+)"', text))


def test_both_suites_together_have_to_see_every_event_command_and_refusal() -> None:
    wanted = {*required(is_nested=False), *required(is_nested=True)}
    assert wanted == set(Seen.expected())
    assert set(Seen.expected()) >= NESTED, "only what there is"
    assert {name for kind, name in wanted if kind == "event"} == {kind.__name__ for kind in EVENT_TYPES}
    for how in ("accepted", "refused"):
        assert {name for kind, name in wanted if kind == f"command {how}"} == {kind.__name__ for kind in DECIDE} == set(COMMANDS)


def test_the_refusals_that_have_to_be_seen_are_those_of_the_source() -> None:
    assert refused_by_name() - ELSEWHERE == set(REFUSALS)
    assert len(REFUSALS) == len(set(REFUSALS))

"""Everything that must hold, under random workflows, commands in any order, effects twice, and crashes at any point.

What is checked after each event stands in ``machine`` and ``observer``. An example is a seed; one that fails is made small and told
as the workflow, the commands and the numbers that reproduce it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest

from tests.amounts import amount
from tests.kernel.graphs import workflow
from tests.kernel.play import play
from tests.kernel.seen import Seen
from tests.kernel.shrink import Graph, Shrinker, Steps
from tests.kernel.tape import Tape

EXAMPLES = amount(test=400, nightly=20_000)
NUMBERS = 2**16


def example(seed: int) -> tuple[Graph, Steps]:
    """The numbers behind a seed."""
    draw = random.Random(seed)
    graph = [draw.randrange(NUMBERS) for _ in range(400)]
    return graph, [[draw.randrange(NUMBERS) for _ in range(6)] for _ in range(draw.randrange(60, 240))]


def plays(graph: Sequence[int], steps: Sequence[Sequence[int]]) -> object:
    """Played for its failure only."""
    return play(graph, steps, workflow, Seen())


def told(seed: int) -> str:
    """The failure of a seed as small as it gets."""
    graph, steps = Shrinker(plays, *example(seed)).run()
    commands: list[str] = []
    try:
        play(graph, steps, workflow, Seen(), told=commands)
    except Exception as error:  # noqa: BLE001 whatever it is, it is told
        commands.append(f"{type(error).__name__}: {error}")
    document = msgspec.yaml.encode(workflow(Tape(graph))).decode()
    return "\n".join([f"seed {seed}", document, *commands, f"graph = {graph}", f"steps = {steps}"])


@pytest.mark.timeout(7_200)
def test_every_promise_of_the_kernel_holds_whatever_happens() -> None:
    seen = Seen()
    for seed in range(EXAMPLES):
        try:
            play(*example(seed), workflow, seen)
        except Exception as error:
            raise AssertionError(told(seed)) from error
    seen.require(100)


def test_a_failing_example_is_made_small_and_still_fails_in_the_same_place() -> None:
    def fragile(graph: Sequence[int], steps: Sequence[Sequence[int]]) -> object:
        played = play(graph, steps, workflow, Seen())
        assert not any(type(event).__name__ == "SubtreePaused" for event in played.history), "as if pausing were a mistake"
        return played

    seed = next(seed for seed in range(100) if "SubtreePaused" in {type(event).__name__ for event in plays_history(seed)})
    graph, steps = Shrinker(fragile, *example(seed)).run()
    assert len(steps) == 1
    assert sum(graph) == 0
    with pytest.raises(AssertionError, match="as if pausing were a mistake"):
        fragile(graph, steps)


def plays_history(seed: int) -> list[object]:
    """What happened to the last execution of an example."""
    return list(play(*example(seed), workflow, Seen()).history)

"""Everything that must hold, under random workflows, commands in any order, effects twice, and crashes at any point.

What is checked after each event stands in ``machine`` and ``observer``. An example is two lists of numbers, so that hypothesis can
shrink a failing one to the few operations that matter.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.amounts import amount, suite
from tests.kernel.graphs import workflow
from tests.kernel.play import play
from tests.kernel.seen import Seen

EXAMPLES = amount(test=400, nightly=20_000)
NUMBERS = st.integers(0, 2**16 - 1)
GRAPH = st.lists(NUMBERS, min_size=400, max_size=400)
STEPS = st.lists(st.tuples(*[NUMBERS] * 6), min_size=75, max_size=250)


@pytest.mark.timeout(7_200)
def test_every_promise_of_the_kernel_holds_whatever_happens() -> None:
    seen = Seen()

    @settings(
        max_examples=EXAMPLES,
        derandomize=suite() == "test",  # the same examples for every change; the nightly suite looks for new ones
        phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
    )
    @given(graph=GRAPH, steps=STEPS)
    def example(graph: Sequence[int], steps: Sequence[Sequence[int]]) -> None:
        play(graph, steps, workflow, seen)

    example()
    seen.require(100)

"""Seeds that once broke a promise, with what was broken; they always run.

What a seed does changes with the engine and with the scenario: the mutants in ``tests/mutants/shell.py`` say what they find now.
"""

from __future__ import annotations

from typing import Final

__all__ = ["PAST", "PAST_WHOLE"]

# (seed, whether with the strict settings)
PAST: Final[tuple[tuple[int, bool], ...]] = (
    (3, False),  # a signal sent twice at the same time, once through the inbox, was taken twice
    (4, True),  # a signal that went through the inbox without its mark was taken twice
    (4, False),  # an attempt reported its end after its time had run out in memory, and nobody took the error
    (7, False),  # likewise a signal, repeated on another node
    (9, False),  # a state dropped for a repeated mark was never read again by its owner
    (18, False),  # a step whose condition was judged before a crash was not judged again
    (21, False),  # a look at what others wrote failed half way, and waiters were never told
    (22, False),  # what a stopping node's caller seized stayed with a node that was gone
    (24, False),  # likewise waiters
    (45, False),  # a mark twice in one commit refused both, again and again, until the task was in quarantine
    (123, False),  # what was seized and could not be given back at once was forgotten
    (351, False),  # an execution given back and taken again by the same node, under the same token
    (479, False),  # a retry by a person begins a new round: a poisonous step that is not idempotent never ends by itself
    (10256, False),  # two nodes did the same in the same moment, and the one whose commit was lost performed it too
    (20641, False),  # a node that begins no attempts kept an execution that it had seized for a command it then refused
    (20796, False),  # an execution whose last attempt was stopped by a timeout stayed in memory, owned, instead of being parked
    (30297, True),  # what became ready in a turn that gave no slot was never begun
    (31300, True),  # as 20641
)

# The same in worlds of the whole language: those that broke a promise, and those in which mutants of `families.py` break one.
PAST_WHOLE: Final[tuple[tuple[int, bool], ...]] = (
    (26, False),  # a pause was told to a child that could not begin just then, refused, and forgotten
    (108, False),  # a child was begun on two nodes at once, and on one of them ran twice
    (137, True),  # a pause through another node was acknowledged before the child had it
    (165, True),  # a pause did not wait for what was being terminated
    (296, False),  # what only a compensation told others was never told
    (561, True),  # a pause did not reach a child that a person had let go on before
    (6, True),
    (11, False),
    (37, False),
    (29, False),
    (36, False),
)

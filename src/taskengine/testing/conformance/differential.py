"""The same random operations on a store and on its oracle: equal answers at every step, or the first difference is shown.

Several store objects on each side stand for processes; they crash and come back.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final

from taskengine.errors import TaskEngineError
from taskengine.ports.store import Store
from taskengine.testing.conformance.operations import Operation, Operations
from taskengine.testing.conformance.samples import NewStore

__all__ = ["DifferentialMachine"]

_SHOWN_ON_FAILURE: Final = 12
_ONE_CRASH_IN: Final = 50


class DifferentialMachine:
    """``choose(n)`` gives a number from 0 to n - 1 and decides everything: the same choices are the same operations."""

    def __init__(self, *, oracle: NewStore, subject: NewStore, choose: Callable[[int], int], processes: int = 3) -> None:
        self._new_oracle = oracle
        self._new_subject = subject
        self._choose = choose
        self._processes = processes
        self._stores: list[tuple[Store, Store]] = []
        self._operations = Operations(choose)
        self._log: deque[str] = deque(maxlen=_SHOWN_ON_FAILURE)
        self._counts: Counter[str] = Counter()

    async def run(self, operations: int) -> Counter[str]:
        """Do so many operations; returns how often each operation, verdict and error was seen, and how often something was found.

        ``AssertionError`` at the first difference, with what led to it.
        """
        self._stores = [await self._open_both() for _ in range(self._processes)]
        try:
            for number in range(operations):
                await self._step(number)
        finally:
            for pair in self._stores:
                await _close_both(pair)
        return self._counts

    async def _step(self, number: int) -> None:
        process = self._choose(self._processes)
        oracle, subject = self._stores[process]
        if self._choose(_ONE_CRASH_IN) == 0:
            self._note(f"{number}: process {process} crashes", "crash")
            await _close_both((oracle, subject))
            self._stores[process] = await self._open_both()
            return
        operation = await self._operations.draw(oracle)
        self._note(f"{number}: process {process}: {operation}", operation.method)
        expected, actual = await _outcome(operation, oracle), await _outcome(operation, subject)
        # That others wrote may be said once too often, but it may not be missed.
        is_equal = (actual or not expected) if operation.method == "changed" else expected == actual
        if not is_equal:
            raise AssertionError("\n".join(["the stores differ", *self._log, f"oracle: {expected}", f"store:  {actual}"]))
        self._operations.learn(operation, expected)
        self._counts.update(_words(operation.method, expected))

    def _note(self, line: str, counted: str) -> None:
        self._log.append(line)
        self._counts[counted] += 1

    async def _open_both(self) -> tuple[Store, Store]:
        oracle, subject = self._new_oracle(), self._new_subject()
        await oracle.open()
        await subject.open()
        return oracle, subject


async def _close_both(pair: tuple[Store, Store]) -> None:
    for store in pair:
        await store.close()


async def _outcome(operation: Operation, store: Store) -> Any:
    """The answer with what has no order put in order, or the name of the error."""
    try:
        answer = await getattr(store, operation.method)(*operation.arguments, **operation.named)
    except TaskEngineError as error:
        return f"error {error.name}"
    if operation.method == "load":
        return sorted(answer, key=lambda stored: stored.summary.execution_id)
    return answer


def _words(method: str, outcome: Any) -> list[str]:
    """What is counted besides the operation: errors, verdicts, and that there was something to find."""
    if isinstance(outcome, str):
        return [outcome]
    if method == "commit":
        return [str(verdict) for verdict in outcome]
    return [f"{method} found"] if outcome and outcome != ([], None) else []

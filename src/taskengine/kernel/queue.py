"""The tasks that wait for a slot, in the order in which they get one. An index of the state."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Final

__all__ = ["NOBODY", "ReadyQueue"]

_STALE_ENTRIES: Final = 64  # so many are not worth a tidying


class ReadyQueue:
    """Tasks that may be admitted, most urgent first, then in the order of the document. Stale entries are dropped when met."""

    __slots__ = ("_heap", "members")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int]] = []
        self.members: dict[int, int] = {}  # read by others only: whether anybody is in is asked in every turn

    def add(self, number: int, priority: int) -> None:
        """Put a task in; a task is in at most once."""
        if number not in self.members:
            self.members[number] = -priority
            heapq.heappush(self._heap, (-priority, number))

    def discard(self, number: int) -> None:
        """Take a task out, if it is in."""
        heap, members = self._heap, self.members
        if members.pop(number, None) is None:
            return
        while heap and heap[0][1] not in members:
            heapq.heappop(heap)
        if heap and len(heap) > _STALE_ENTRIES + 4 * len(members):
            self._heap = [(key, member) for member, key in members.items()]
            heapq.heapify(self._heap)

    def first(self) -> tuple[int, int] | None:
        """(priority, task) of the most urgent one."""
        if not self.members:
            return None
        key, number = self._heap[0]
        return -key, number

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(priority, task) of each, most urgent first."""
        return ((-key, number) for key, number in sorted((key, number) for number, key in self.members.items()))

    def __len__(self) -> int:
        return len(self.members)

    def __contains__(self, number: int) -> bool:
        return number in self.members


NOBODY: Final = ReadyQueue()  # shared by all that have no suspects, which is nearly always; nothing is ever added to it

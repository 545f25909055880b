"""Who wants which signal of one name, where some of those who wait for it have filters. An index of the state.

The rule: of those who want any of the waiting signals, the one that has waited longest takes the oldest that it wants. Every pair
of a listener and a signal is judged once, until something that the filter reads has changed (``look_again``).

Filters that ask whether parts of the signal equal something else have keys. A *bucket* holds the listeners and the signals of one
key: only these can fit, and the filter itself says whether they do. All filters with the same parts are one *shape*; those without
such a part have one bucket for all signals. New signals are *offered* to everybody together, and walk through their buckets in the
order in which listeners wait; a new listener finds its bucket and judges what has been offered. All of it can stop and go on.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from typing import Final, Protocol

import msgspec

from taskengine.kernel.bucket import Bucket, Key, Path, Shape, key_of, key_of_signal
from taskengine.model.value import Json, Raw

__all__ = ["Ask", "Effort", "Sieve"]

_STALE_ENTRIES: Final = 64  # so many are not worth a tidying
_NEVER_JUDGED: Final = -1


class Effort(msgspec.Struct, gc=False):
    """How much may still be judged in this turn."""

    left: int

    def spend(self, units: int) -> None:
        """So much was done."""
        self.left -= units

    @property
    def is_spent(self) -> bool:
        """Whether the rest follows in the next turn."""
        return self.left <= 0


class Ask(Protocol):
    """What a sieve asks about listeners."""

    def paths(self, number: int) -> tuple[Path, ...]:
        """The parts of a signal that a listener's filter compares."""
        ...

    def keys(self, number: int) -> list[Json] | None:
        """What they must equal; ``None``: nothing fits, as long as nothing changes."""
        ...

    def wants(self, number: int, data: Raw) -> bool:
        """Whether its filter lets a signal through."""
        ...


class Sieve:
    """The listeners and the waiting signals of one name. Listeners are told apart by their order, signals by their serial."""

    def __init__(self) -> None:
        self.orders: dict[int, int] = {}  # by listener
        self._at: dict[int, int] = {}  # listener, by order
        self._home: dict[int, Bucket] = {}  # by order, of those who stand in a line
        self._unplaced: dict[int, int] = {}  # by order, of those who look for their bucket: the last signal that they have judged
        self._agenda: list[tuple[int, int, Bucket | None]] = []  # a heap: who judges next, alone or as the head of a walk
        self._walks = 0
        self._midway: tuple[int, int] | None = None  # who was interrupted, and after which signal
        self._shapes: dict[tuple[Path, ...], Shape] = {}
        self.serials: list[int] = []  # of the waiting signals, as they wait
        self._data: dict[int, Raw] = {}
        self._spots: dict[int, list[Bucket]] = {}  # where a signal lies
        self._newest = _NEVER_JUDGED
        self._offered = _NEVER_JUDGED  # signals up to this one are judged, or are being judged now
        self._before = _NEVER_JUDGED  # ... up to this one before
        self._orders_given = self._tags_given = 0

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────

    def listen(self, number: int, paths: tuple[Path, ...]) -> None:
        """A listener waits from now on, after all others."""
        order = self.orders[number] = self._orders_given
        self._orders_given += 1
        self._at[order] = number
        if paths not in self._shapes:
            self._shapes[paths] = Shape(paths)
        self._look_for_place(order)

    def leave(self, number: int) -> None:
        """It waits no more."""
        order = self.orders.pop(number)
        del self._at[order]
        self._detach(order)

    def look_again(self, number: int) -> None:
        """What its filter reads has changed: nothing that it has judged counts any more. Its place among the others stays."""
        order = self.orders[number]
        if order in self._unplaced:
            self._unplaced[order] = _NEVER_JUDGED
            if self._midway is not None and self._midway[0] == order:
                self._midway = None
            return
        self._detach(order)
        self._look_for_place(order)

    def arrive(self, data: Raw) -> None:
        """A signal waits from now on, after all others."""
        self._newest += 1
        self.serials.append(self._newest)
        self._data[self._newest] = data

    def take(self, place: int) -> None:
        """The signal at a place of the queue waits no more."""
        serial = self.serials.pop(place)
        del self._data[serial]
        for bucket in self._spots.pop(serial, ()):
            bucket.remove(serial)

    def place_of(self, serial: int) -> int:
        """Where a signal stands in the queue."""
        return bisect_left(self.serials, serial)

    def all_was_judged(self) -> None:
        """Nobody who listens wants any of the signals there are: that was found out before they came here."""
        self._offered = self._before = self._newest
        for order in self._unplaced:
            self._unplaced[order] = self._newest

    # ── judging ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def find(self, ask: Ask, effort: Effort) -> tuple[int, int] | None:
        """The next listener that takes a signal, and which. ``None``: nobody wants any, or the effort is spent."""
        while not effort.is_spent:
            if self._sort_in(effort):
                continue
            if self._offered < self._newest and not self._walks and self._midway is None:
                self._before, self._offered = self._offered, self._newest
                continue
            head = self._head()
            if head is None:
                self._midway = None  # what was left to judge has gone
                if self._offered < self._newest:
                    continue
                return None
            found = self._placed(head[0], ask, effort) if head[1] is None else self._walked(head[0], head[1], ask, effort)
            if found is not None:
                return found
        return None

    def _sort_in(self, effort: Effort) -> bool:
        """Put what was offered into buckets; whether there was anything to do."""
        lagging = next((shape for shape in self._shapes.values() if shape.known < self._offered), None)
        if lagging is None:
            return False
        for serial in self.serials[bisect_right(self.serials, lagging.known) :]:
            if serial > self._offered:
                break
            if effort.is_spent:
                return True
            self._sort_one(lagging, serial)
            lagging.known = serial
            effort.spend(1)
        lagging.known = self._offered
        return True

    def _sort_one(self, shape: Shape, serial: int) -> None:
        key = key_of_signal(self._data[serial], shape.paths)
        if key is None:
            return
        bucket = self._bucket(shape, key)
        bucket.signals.append(serial)
        self._spots.setdefault(serial, []).append(bucket)
        if serial > self._before and bucket.count and not bucket.is_walked:
            first = bucket.after(_NEVER_JUDGED, self._home)
            if first is not None:
                bucket.is_walked = True
                self._walks += 1
                heapq.heappush(self._agenda, (first, bucket.tag, bucket))

    def _head(self) -> tuple[int, Bucket | None] | None:
        """Who has waited longest of those who have something to judge."""
        while self._agenda:
            order, _, bucket = self._agenda[0]
            if bucket is None:
                if order in self._unplaced:
                    return order, None
                heapq.heappop(self._agenda)
            elif self._home.get(order) is bucket and bucket.signals and bucket.signals[-1] > self._before:
                return order, bucket
            else:
                self._go_on(order, bucket)
        return None

    def _go_on(self, order: int, bucket: Bucket) -> None:
        """The next one in the line of a walk; or its end, when nothing of what was offered is left."""
        is_left = bool(bucket.signals) and bucket.signals[-1] > self._before
        following = bucket.after(order, self._home) if is_left else None
        if following is not None:
            heapq.heapreplace(self._agenda, (following, bucket.tag, bucket))
            return
        heapq.heappop(self._agenda)
        bucket.is_walked = False
        self._walks -= 1

    def _placed(self, order: int, ask: Ask, effort: Effort) -> tuple[int, int] | None:
        """A listener finds its bucket, and judges what has been offered there."""
        number = self._at[order]
        shape = self._shapes[ask.paths(number)]
        values = ask.keys(number)
        effort.spend(1)
        key = None if values is None else key_of(values)
        bucket = None if key is None else shape.buckets.get(key)
        if bucket is not None:
            found = self._judged(order, bucket, self._unplaced[order], ask, effort)
            if found is not None or self._midway is not None:
                return found
        del self._unplaced[order]
        heapq.heappop(self._agenda)
        if key is not None:
            bucket = self._home[order] = self._bucket(shape, key)
            bucket.join(order)
        return None

    def _walked(self, order: int, bucket: Bucket, ask: Ask, effort: Effort) -> tuple[int, int] | None:
        """A listener judges what is new in its bucket."""
        found = self._judged(order, bucket, self._before, ask, effort)
        if found is None and self._midway is None:
            self._go_on(order, bucket)
        return found

    def _judged(self, order: int, bucket: Bucket, since: int, ask: Ask, effort: Effort) -> tuple[int, int] | None:
        """The oldest signal of a bucket, after one, that a listener wants. Notes where it was interrupted."""
        if self._midway is not None and self._midway[0] == order:
            since = max(since, self._midway[1])
        self._midway = None
        for serial in bucket.signals[bisect_right(bucket.signals, since) :]:
            if ask.wants(self._at[order], self._data[serial]):
                return self._at[order], serial
            if effort.is_spent:  # after the first one: what finding its bucket took is no reason to judge nothing
                self._midway = (order, serial)
                return None
        return None

    # ── places ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _look_for_place(self, order: int) -> None:
        self._unplaced[order] = _NEVER_JUDGED
        heapq.heappush(self._agenda, (order, -1, None))

    def _detach(self, order: int) -> None:
        """Out of wherever it is."""
        self._unplaced.pop(order, None)
        if self._midway is not None and self._midway[0] == order:
            self._midway = None
        bucket = self._home.pop(order, None)
        if bucket is not None:
            bucket.leave(self._home)
        if len(self._agenda) > _STALE_ENTRIES + 4 * (len(self._unplaced) + self._walks):
            self._agenda = [entry for entry in self._agenda if entry[2] is not None or entry[0] in self._unplaced]
            heapq.heapify(self._agenda)

    def _bucket(self, shape: Shape, key: Key) -> Bucket:
        bucket = shape.buckets.get(key)
        if bucket is None:
            bucket = shape.buckets[key] = Bucket(shape, key, self._tags_given)
            self._tags_given += 1
        return bucket

"""The property machine: one random execution, every command in any order, and after each event everything that must hold.

Three states go side by side: ``live`` is what a node would hold; ``twin`` is replaced by a fold or a restored snapshot now and then
and must answer every command as ``live`` does; ``folded`` only ever sees events, decoded from what was stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from taskengine.errors import TaskEngineError
from taskengine.kernel.advance import Turn, advance, fold
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.evolve import evolve
from taskengine.kernel.invariant import check
from taskengine.kernel.outstanding import outstanding, sum_of
from taskengine.kernel.plan import Plan
from taskengine.kernel.scope import Scope
from taskengine.kernel.snapshot import dump, restore
from taskengine.kernel.state import Execution
from taskengine.kernel.story import story, why
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.codec import decode_event, encode_event
from taskengine.model.effect import Effect, Halt, Launch, WakeAt
from taskengine.model.event import Event
from taskengine.model.workflow import Workflow
from tests.kernel.graphs import START_AT
from tests.kernel.observer import Observer
from tests.kernel.seen import Seen
from tests.kernel.world import OVER, World, heard

ID = "ex_00000000000000000000000000"

_OF_AN_ATTEMPT = (cmd.Report, cmd.Progress, cmd.Silent)
# What may follow first from each way in which an attempt can end.
MEANINGS: dict[type, tuple[type, ...]] = {
    cmd.Succeeded: (ev.TaskCompleted, ev.TaskFailed),
    cmd.Failed: (ev.TaskRetryScheduled, ev.TaskFailed, ev.TaskCancelled),
    cmd.Abandoned: (ev.TaskAttemptLost, ev.TaskCancelled),
}


def fields(state: Execution, *, is_judged: bool) -> dict[str, Any]:
    """Everything a state holds. Judged or not is no fact: without it the queues of ready tasks count as one."""
    named = {name: getattr(state, name) for name in Execution.__slots__ if name not in {"plan", "read_left"}}
    del named["sieves"], named["watched"]  # what was judged in vain is no fact
    named["scopes"] = [seen(scope) for scope in state.scopes]
    named["steps"] = list(state.steps)
    named["root"] = seen(state.root)
    named["timers"] = (state.timers.due, state.timers.frozen, state.timers.first())
    named["ready"], named["suspects"] = list(state.ready), list(state.suspects)
    for ordered in ("unjudged", "skips", "matchable", "live", "outputs", "signals"):
        named[ordered] = list(named[ordered].items()) if isinstance(named[ordered], dict) else named[ordered]
    named["listeners"] = {name: list(numbers) for name, numbers in state.listeners.items()}
    if not is_judged:
        waiting = {number for number, _ in named["unjudged"]} | {number for _, number in named["ready"]}
        named["ready"] = named["unjudged"] = waiting
        named["spreading"] = None  # what was looked at in vain has left it
        if any(state.steps[number].filter is not None for numbers in state.listeners.values() for number in numbers):
            named["matchable"] = None
    return named


def seen(scope: Scope) -> tuple[object, ...]:
    """A scope, without the blocks around it."""
    at = (scope.base, scope.container, scope.index, bytes(scope.item))
    return (*at, scope.left, scope.failures, scope.flaws, scope.is_swept)


def must_agree(one: Execution, other: Execution, *, is_judged: bool = True) -> None:
    """Field by field."""
    ours, theirs = fields(one, is_judged=is_judged), fields(other, is_judged=is_judged)
    differing = {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]}
    for name, (mine, other_one) in list(differing.items()):
        if isinstance(mine, list) and isinstance(other_one, list) and len(mine) == len(other_one):
            pairs = [(a, b) for a, b in zip(mine, other_one, strict=True) if a != b]
            differing[name] = ([a for a, _ in pairs], [b for _, b in pairs])
    assert not differing, f"differ in {differing}"


class Machine:
    """One execution, watched."""

    def __init__(self, workflow: Workflow, seen: Seen, told: list[str] | None = None) -> None:
        self.plan: Plan = compile_plan(workflow)
        self.seen = seen
        self.told = told
        self.now = START_AT
        self.live, self.twin, self.folded = (Execution(ID, self.plan) for _ in range(3))
        self.observer = Observer(workflow)
        self.world = World()
        self.stored: list[bytes] = []
        self.history: list[Event] = []
        self.owed: set[Effect] = set()
        self.how_far: dict[tuple[int, int], int] = {}  # the same sum, in whatever order
        self.snapshot: tuple[int, bytes] | None = None

    # ── one command ──────────────────────────────────────────────────────────────────────────────────────────────────

    def do(self, command: cmd.Command) -> Turn | None:
        """Give a command to all three; ``None`` when it was refused."""
        kind = type(command).__name__
        if self.told is not None:
            self.told.append(str(command))
        at = max(self.live.at, command.at)
        before = dump(self.live)
        is_owed = not isinstance(command, _OF_AN_ATTEMPT) or (command.task, command.attempt) in self.observer.owed
        try:
            turn = advance(self.live, command)
        except TaskEngineError as refusal:
            self._refused(command, refusal, before)
            return None
        assert is_owed, f"{command} was taken, nobody owes it"
        again = advance(self.twin, command)
        assert (again.events, again.effects) == (turn.events, turn.effects), "the twin answers differently"
        self.seen.add("command accepted", kind)
        if isinstance(command, cmd.Report):
            assert isinstance(turn.events[0], MEANINGS[type(command.end)]), f"{command} becomes {turn.events[0]}"
        self._follow(turn, at)
        self.observer.at_rest(at)
        assert self.live.is_idle == self.observer.is_idle()
        must_agree(self.live, self.twin, is_judged=False)
        must_agree(self.live, self.folded, is_judged=False)
        self.world.commit(turn.effects)
        return turn

    def _refused(self, command: cmd.Command, refusal: TaskEngineError, before: bytes) -> None:
        assert dump(self.live) == before, f"{command} was refused and changed something"
        with pytest.raises(type(refusal)) as other:
            advance(self.twin, command)
        assert (other.value.name, other.value.message) == (refusal.name, refusal.message)
        must_agree(self.live, self.twin, is_judged=False)
        if isinstance(command, _OF_AN_ATTEMPT) and self.live.seq:
            assert (command.task, command.attempt) not in self.observer.owed, f"{command} was owed and is refused"
        self.seen.add("command refused", type(command).__name__)
        self.seen.add("refusal", refusal.name)

    def _follow(self, turn: Turn, at: int) -> None:
        effects: list[Effect] = []
        for event in turn.events:
            assert event.at == at
            stored = encode_event(event)
            read = decode_event(stored)
            assert read == event
            self.stored.append(stored)
            self.history.append(event)
            self.seen.add("event", type(event).__name__)
            self.observer.see(read)
            changes = evolve(self.folded, read)
            check(self.folded)
            effects.extend(changes)
            self.owed = sum_of([*self.owed, *changes])
            assert self.owed == outstanding(self.folded), f"after {event}"
        assert effects == turn.effects, "folding gives other effects than the turn"
        self._sum_in_any_order(turn.effects)
        if turn.events:
            check(self.live)
        assert self.live.seq == len(self.stored) == self.observer.count
        assert self.live.signal_count == self.observer.waiting_signals()
        if self.observer.end in {"completed", "partial", "failed"} and turn.events:
            self.seen.add("other", f"outcome {self.observer.end}")

    def _sum_in_any_order(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            about = heard(effect)
            if about is not None:
                key, how_far = about
                self.how_far[key] = max(how_far, self.how_far.get(key, 0))
        owed = {key for key, how_far in self.how_far.items() if how_far < OVER}
        assert owed == {(one.task, one.attempt) for one in outstanding(self.live) if isinstance(one, Launch | Halt)}
        assert owed == self.observer.owed
        wakes = [effect.at for effect in effects if isinstance(effect, WakeAt)]
        assert not wakes or wakes[-1] == self.live.wake_at

    def signal_until(self, limit: int) -> None:
        """Fill the queue of signals; they only count, so only the outside is watched while it lasts."""
        command = cmd.Signal(at=self.now, name="nobody", data=msgspec.Raw(b"1"))
        if self.do(command) is None:
            return
        while self.live.signal_count < limit - 1 and not self.live.is_finished:
            for state in (self.live, self.twin):
                turn = advance(state, command)
                assert (len(turn.events), turn.effects) == (1, [])
            self.observer.see(turn.events[0])
            self.stored.append(encode_event(turn.events[0]))
            self.history += turn.events
            evolve(self.folded, turn.events[0])
        self.do(command)

    # ── memory lost and found ────────────────────────────────────────────────────────────────────────────────────────

    def replace_twin(self, *, by_snapshot: bool) -> None:
        """From here on the twin is what somebody else would have read."""
        if not by_snapshot:
            self.twin = self._read_back()
            must_agree(self.twin, self.live, is_judged=False)
            turn = advance(self.twin, cmd.Tick(at=self.live.at)) if self.stored else Turn([], [])
            assert not turn.events, "reading back makes something happen"
        else:
            document = dump(self.live)
            self.twin = restore(ID, self.plan, document)
            again = dump(self.twin)
            assert again == document, f"{document!r} is read as {again!r}"
            check(self.twin)
            must_agree(self.twin, self.live)

    def _read_back(self) -> Execution:
        return fold(ID, self.plan, msgspec.json.decode(b"[" + b",".join(self.stored) + b"]", type=list[Event]))

    def take_snapshot(self) -> None:
        """Keep one, to be read after a crash."""
        self.snapshot = (self.live.seq, dump(self.live))

    def crash(self, *, is_counted: bool) -> None:
        """Lose everything but the history; what was launched is lost or was given back."""
        if self.snapshot is None or self.snapshot[0] > len(self.stored):
            self.live = self._read_back()
            self.seen.add("other", "crash, all folded")
        else:
            seq, document = self.snapshot
            tail = [decode_event(stored) for stored in self.stored[seq:]]
            self.live = fold(ID, self.plan, tail, state=restore(ID, self.plan, document))
            self.seen.add("other", "crash, snapshot and tail")
        check(self.live)
        must_agree(self.live, self.folded, is_judged=False)
        assert self.live.is_idle == self.observer.is_idle()
        self.world.crash()
        if self.live.seq:
            owed = sorted((one.task, one.attempt) for one in outstanding(self.live) if isinstance(one, Launch | Halt))
            self.do(cmd.Lost(at=self.now, attempts=tuple(owed), is_counted=is_counted))

    def tell(self, path: str) -> None:
        """Stories must be tellable at any time."""
        assert why(self.live, path)
        assert all(line.text for line in story(self.live, self.history, path))

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def heal(self) -> None:
        """No more faults: everything is answered, and the execution must end within a bounded number of turns."""
        for path in ("/", *sorted(map(self.live.path_of, self.live.paused))):
            self.do(cmd.Resume(at=self.now, path=path))
        bound = 10 + 6 * self.plan.size
        for _ in range(bound):
            if self.live.is_finished:
                return
            self._help()
        raise AssertionError(f"not finished after {bound} rounds: {[why(self.live, step.path) for step in self.plan.steps]}")

    def close(self) -> None:
        """Count what the observer has judged."""
        for judged, times in self.observer.verdicts.items():
            self.seen.add("join", judged, times)

    def _help(self) -> None:
        self.do(cmd.Admit(at=self.now, slots=100, suspect_slots=100))
        self.world.perform()
        for number, attempt in self.world.running():
            self.do(cmd.Report(at=self.now, task=number, attempt=attempt, end=cmd.Succeeded(msgspec.Raw(b'{"x":2}'))))
        for number, task in tuple(self.live.live.items()):
            if task.is_stuck:
                self.do(cmd.Retry(at=self.now, path=self.plan.steps[number].path))
            if task.signal and not self.live.is_finished:
                self.do(cmd.Signal(at=self.now, name=task.signal, data=msgspec.Raw(b"1")))
        if self.live.wake_at is not None and not self.live.counts[2]:
            self.now = max(self.now, self.live.wake_at)
            self.do(cmd.Tick(at=self.now))

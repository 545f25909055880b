"""What must hold of executions that know each other, told from their histories alone, event by event as they were written.

Each history is watched by the bystander of the kernel's own tests: what is paused or cancelled, what was done, what undoes it and
when. Added here is what no single history tells: who started whom, who sent what to whom, what a fork took over, and that a control
that a client was told of holds in every execution below.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from taskengine.model import event as ev
from taskengine.model.codec import decode_event
from taskengine.model.status import Status
from taskengine.testing.simulation import SimulationError, World
from taskengine.testing.simulation.audit import Record
from tests.kernel.nested_undo import depends
from tests.kernel.nested_watch import Watch
from tests.simulation.language import FORM

__all__ = ["Families"]

LATE_MS: Final = 20_000  # after healing, a letter has come by then


@dataclass
class Member:
    """One execution as its family sees it."""

    record: Record
    watch: Watch
    parent: str = ""  # who waits for it
    parent_task: int = 0
    hand_at: int = 0  # the last event by which a person, and not its parent, let it go on
    told_at: int = 0  # the last event by which its parent has paused or cancelled it
    asked_by: dict[tuple[str, str], tuple[str, int]] = field(
        default_factory=dict
    )  # by control and path: the tag, and the event's place
    started: dict[int, str] = field(default_factory=dict)  # by task: the child
    decided: set[tuple[int, int]] = field(default_factory=set)
    asked: dict[int, list[str]] = field(default_factory=dict)  # by task: who may decide; nobody named: anybody
    sent: list[tuple[str, str, int]] = field(default_factory=list)  # to whom, which signal, when
    received: Counter[tuple[str, str]] = field(default_factory=Counter)  # from whom, which


@dataclass(frozen=True)
class Hold:
    """A control that a client was told of: ``kind`` is pause or cancel."""

    kind: str
    execution_id: str
    path: str
    since: int


class Families:
    """Sees every event of every execution."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._members: dict[str, Member] = {}
        self._holds: list[Hold] = []
        self._births: dict[tuple[str, int, int], str] = {}
        self._sent: Counter[tuple[str, str, str]] = Counter()  # from whom, to whom, which
        self._newest: Counter[str] = Counter()  # by workflow: the highest version that has begun
        self._events = 0

    # ── event by event ───────────────────────────────────────────────────────────────────────────────────────────────

    def see(self, record: Record, event: ev.Event) -> None:
        """Look at an event that was just folded. Raises ``SimulationError``."""
        self._events += 1
        member = self._members.get(record.execution_id)
        if member is None:
            member = self._members[record.execution_id] = Member(record, Watch(record.plan.workflow))
        where = f"{record.execution_id}:{len(record.bodies)} {type(event).__name__}"
        begins = isinstance(event, ev.ExecutionStarted) or member.watch.begins(event)
        try:
            member.watch.see(event)
        except AssertionError as error:
            raise SimulationError("not_as_watched", f"{where}: {error}") from error
        self._note(member, event, where)
        self._lift(member)
        if begins:
            self._must_be_free(member, event, where)

    def _note(self, member: Member, event: ev.Event, where: str) -> None:
        match event:
            case ev.ExecutionStarted():
                self._born(member, event, where)
            case ev.ExecutionForked():
                self._forked(member, event, where)
            case ev.TaskStarted(task=task, child=child) if child:
                member.started[task] = child
            case ev.TaskStarted(task=task, input=config) if self._kind(member, task) == "approval":
                asked: dict[str, list[str]] = msgspec.json.decode(config)
                member.asked[task] = asked.get("approvers", [])
            case ev.TaskCompleted(task=task) if task in member.started and self._kind(member, task) == "workflow":
                self._completed(member, task, where)
            case ev.ApprovalEscalated(task=task, to=to):
                member.asked[task] += to if member.asked[task] else ()
            case ev.ApprovalDecided():
                self._decided(member, event, where)
            case ev.SignalSent(execution_id=target, name=name):
                member.sent.append((target, name, event.at))
                self._sent[member.record.execution_id, target, name] += 1
            case ev.SignalReceived(name=name, by=by) if by.startswith("ex_"):
                member.received[by, name] += 1
                sent = self._sent[by, member.record.execution_id, name]
                self._must(member.received[by, name] <= sent, "letter_twice", f"{where}: {by} has sent {sent}")
            case _:
                self._controlled(member, event)

    def _controlled(self, member: Member, event: ev.Event) -> None:
        if isinstance(event, ev.SubtreePaused | ev.SubtreeCancelled):
            kind = "pause" if isinstance(event, ev.SubtreePaused) else "cancel"
            member.asked_by[kind, event.path] = (event.by, self._events)
            if event.by == member.parent:
                member.told_at = self._events
        is_whole = isinstance(event, ev.SubtreeResumed | ev.SubtreeCancelled) and event.path == "/" and event.by != member.parent
        if is_whole or isinstance(event, ev.ExecutionRetried):
            member.hand_at = self._events

    def _born(self, member: Member, event: ev.ExecutionStarted, where: str) -> None:
        parent = event.parent
        if parent is None:
            return
        birth = (parent.execution_id, parent.task, parent.attempt)
        self._must(birth not in self._births, "child_twice", f"{where}: {self._births.get(birth)} was started there too")
        self._births[birth] = member.record.execution_id
        above = self._members.get(parent.execution_id)
        is_known = above is not None and member.record.execution_id in self._started(above)
        self._must(is_known, "child_of_nobody", f"{where}: {parent.execution_id} has not started it")
        self._must_be_pinned(above, event, where)
        if not parent.is_detached:
            member.parent, member.parent_task = parent.execution_id, parent.task

    def _must_be_pinned(self, above: Member | None, event: ev.ExecutionStarted, where: str) -> None:
        """A child has the version that was the latest when what started it began, whatever is deployed meanwhile."""
        assert above is not None
        assert event.parent is not None
        begun, called = decode_event(above.record.bodies[0]), above.record.state.steps[event.parent.task].step.config["workflow"]
        assert isinstance(begun, ev.ExecutionStarted)
        pinned, version = begun.pins.get(called, "none"), event.workflow_version
        self._must(version == pinned, "other_version", f"{where}: version {version} of {called}, {pinned} was the latest")
        newest = self._newest[event.workflow_id] = max(int(version), self._newest[event.workflow_id])
        self._world.counts["child of an older version"] += int(version) < newest

    def _started(self, member: Member) -> Iterator[str]:
        for body in member.record.bodies:
            event = decode_event(body)
            if isinstance(event, ev.TaskStarted) and event.child:
                yield event.child

    def _forked(self, member: Member, event: ev.ExecutionForked, where: str) -> None:
        """What it takes over is in the origin's history."""
        origin = self._members[event.origin].record
        ended: dict[str, set[bytes]] = {}
        for body in origin.bodies:
            told = decode_event(body)
            if isinstance(told, ev.TaskCompleted):
                ended.setdefault(origin.state.path_of(told.task), set()).add(bytes(told.output))
            elif isinstance(told, ev.ExecutionForked):
                for one in told.tasks:
                    ended.setdefault(origin.state.path_of(one.task), set()).add(bytes(one.output))
        tree = member.watch.tree
        begun = tree.numbers[event.path]
        for taken in event.tasks:
            path = member.record.state.path_of(taken.task)
            comes_after = begun in {0, taken.task} or depends(tree, taken.task, begun)
            self._must(not comes_after, "fork_took_too_much", f"{where}: {path} comes after {event.path}")
            is_true = taken.status is not Status.COMPLETED or bytes(taken.output) in ended.get(path, set())
            self._must(is_true, "fork_took_other", f"{where}: {path} did not give {bytes(taken.output)!r} in {event.origin}")
        self._world.counts["fork took over"] += len(event.tasks)

    def _completed(self, member: Member, task: int, where: str) -> None:
        child = self._members.get(member.started[task])
        step = member.watch.tree.steps[task]
        assert step is not None
        if step.config.get("detach"):
            return
        has_completed = child is not None and any(one.status is Status.COMPLETED for one in child.record.results)
        self._must(has_completed, "child_has_not_completed", f"{where}: {member.started[task]}")

    def _decided(self, member: Member, event: ev.ApprovalDecided, where: str) -> None:
        decision = (event.task, event.attempt)
        self._must(decision not in member.decided, "decided_twice", where)
        member.decided.add(decision)
        asked = member.asked[event.task]
        self._must(not asked or event.by in asked, "decided_by_stranger", f"{where}: {event.by}, asked were {asked}")
        step = member.watch.tree.steps[event.task]
        if event.is_approved and step is not None and step.config.get("form") == FORM:
            given = msgspec.json.decode(event.data) if event.data else None
            fits = isinstance(given, dict) and isinstance(given.get("n"), int)
            self._must(fits, "form_not_judged", f"{where}: {given}")

    @staticmethod
    def _kind(member: Member, task: int) -> str:
        step = member.watch.tree.steps[task]
        return "" if step is None else step.type

    # ── controls ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def acknowledged(self, kind: str, tag: str, *, execution_id: str, path: str) -> None:
        """A client was told that a pause or a cancel is true."""
        member = self._members[execution_id]
        by, since = member.asked_by.get((kind, path), ("", 0))
        in_force = member.watch.paused if kind == "pause" else member.watch.cancelled
        if by != tag or path not in in_force:
            return  # somebody else has ended it already
        told = [one for one in self._members.values() if one.told_at > since and self._is_below(one, execution_id, path)]
        self._world.counts[f"{kind} kept"] += 1
        self._world.counts[f"{kind} kept in others"] += bool(told)
        self._holds.append(Hold(kind, execution_id, path, since))

    def _is_below(self, member: Member, execution_id: str, path: str) -> bool:
        return any(
            one.record.execution_id == execution_id and at.startswith(path) for one, at in self._above(member, has_ended=True)
        )

    def _above(self, member: Member, *, has_ended: bool = False) -> Iterator[tuple[Member, str]]:
        """Where an execution stands in others. One that has ended, and that a person wanted again, is nobody's child any more."""
        while member.parent and (has_ended or not member.record.results):
            task, member = member.parent_task, self._members[member.parent]
            yield member, member.record.state.path_of(task)

    def _lift(self, member: Member) -> None:
        """Holds that somebody has ended."""
        if not self._holds:
            return
        mine, watch = member.record.execution_id, member.watch
        kept = {"pause": watch.paused, "cancel": watch.cancelled}
        self._holds = [one for one in self._holds if one.execution_id != mine or one.path in kept[one.kind]]

    def _must_be_free(self, member: Member, event: ev.Event, where: str) -> None:
        """Nothing begins in an execution whose place in another one is held."""
        if not self._holds:
            return
        below = [member]
        for above, at in self._above(member):
            for hold in self._holds:
                is_below = above.record.execution_id == hold.execution_id and at.startswith(hold.path)
                if is_below and not self._is_let_go(below, hold.since) and not (hold.kind == "cancel" and self._undoes(member)):
                    raise SimulationError(
                        f"began_below_{hold.kind}", f"{where} {event}: below {hold.path} of {hold.execution_id} at {at}"
                    )
            below.insert(0, above)

    @staticmethod
    def _is_let_go(below: list[Member], since: int) -> bool:
        """Whether a person has let one of them go on, outermost first, after it was told; what stood still already tells nobody."""
        for member in below:
            if member.hand_at > since:
                return True
            if "/" in member.watch.paused:
                since = min(since, member.asked_by["pause", "/"][1])
        return False

    @staticmethod
    def _undoes(member: Member) -> bool:
        return member.record.state.saga is not None

    # ── when nothing is on its way any more ──────────────────────────────────────────────────────────────────────────

    def must_have_heard(self) -> None:
        """After healing, and some time in which nobody did anything: every letter has come, parents and children agree."""
        late_at = self._world.now() - LATE_MS
        for member in self._members.values():
            self._signals_must_have_come(member, late_at)
            self._child_must_agree(member, late_at)

    def _signals_must_have_come(self, member: Member, late_at: int) -> None:
        sender = member.record.execution_id
        for target, name in {(target, name) for target, name, at in member.sent if at < late_at}:
            other = self._members.get(target)
            if other is None or other.record.results or any(at >= late_at for to, _, at in member.sent if to == target):
                continue  # one that has ended may have done so before
            sent, received = self._sent[sender, target, name], other.received[sender, name]
            self._must(sent == received, "letter_lost", f"{sender} has sent {name} to {target} {sent} times, {received} came")

    def _child_must_agree(self, child: Member, late_at: int) -> None:
        """An execution that another one waits for is as it is told to be."""
        if not child.parent:
            return
        parent, state = self._members[child.parent], child.record.state
        above = parent.record.state
        if max(above.at, state.at) >= late_at or above.is_finished:
            return
        where = f"{child.record.execution_id} and {child.parent} at {above.path_of(child.parent_task)}"
        if above.children.get(child.parent_task) != child.record.execution_id:
            is_left = state.is_finished or state.is_cancelling or state.saga is not None or child.hand_at
            self._must(bool(is_left), "child_left_alone", f"{where}: nobody waits for it, and it is {state.status}")
            return
        self._must(not state.is_finished, "parent_not_told", f"{where}: it is {state.status}, and waited for")
        is_held = above.is_paused or above.is_held(child.parent_task)
        if not child.hand_at and not state.is_cancelling and state.saga is None:
            by_parent = state.is_paused and child.asked_by["pause", "/"][0] == child.parent
            is_told = state.is_paused if is_held else not by_parent
            is_told = is_told or above.live[child.parent_task].is_cancelling
            self._must(is_told, "pause_not_told", f"{where}: paused above: {is_held}, below: {state.is_paused}")
            is_cancelling = above.live[child.parent_task].is_cancelling
            self._must(not is_cancelling, "cancel_not_told", f"{where}: it is {state.status}")

    def settle(self) -> None:
        """Everything has ended."""
        for member in self._members.values():
            for child in self._started(member):
                self._must(child in self._members, "child_never_began", f"{child} of {member.record.execution_id}")
            self._world.counts["undone"] += len(member.watch.undoing.undone)

    @staticmethod
    def _must(condition: bool, name: str, message: str) -> None:  # noqa: FBT001 -- reads like an assertion
        if not condition:
            raise SimulationError(name, message)

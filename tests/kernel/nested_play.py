"""Plays random nested workflows with a real kernel: what is answered, lost, paused and forgotten comes in any order.

A tame example must end as ``nested_oracle`` says, however it went. A wild one is cancelled, terminated and retried as well; there
``nested_watch`` looks at every event, and it must be possible to end it.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import pytest

from taskengine.errors import TaskEngineError
from taskengine.kernel.advance import Turn, advance, fold
from taskengine.kernel.approval import is_asking
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.evolve import evolve
from taskengine.kernel.fork import heritage
from taskengine.kernel.invariant import check
from taskengine.kernel.outstanding import outstanding, sum_of
from taskengine.kernel.snapshot import dump, restore
from taskengine.kernel.state import Execution
from taskengine.kernel.story import story, why
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.codec import decode_event, encode_event
from taskengine.model.effect import Effect
from taskengine.model.status import Phase, Status
from taskengine.model.value import ABSENT, Json, Parent, TaskError, decode, raw
from taskengine.model.workflow import Workflow
from tests.kernel.machine import ID, must_agree
from tests.kernel.nested import INPUT, tame, wild
from tests.kernel.nested_letters import PARENT, PEER, Letters
from tests.kernel.nested_oracle import signal_data
from tests.kernel.nested_watch import Watch
from tests.kernel.seen import Seen
from tests.kernel.tape import Tape

MOST_LOSSES: Final = 3  # of one task in a tame example: fewer than what quarantine takes
MOST_ROUNDS: Final = 4
GOOD: Final[Sequence[Json]] = ({"x": 2}, 3, [1, 2], {"x": 0}, None, {"x": 5})
BAD: Final = (
    TaskError(type="Boom", message="no"),
    TaskError(type="Sub", bases=("Base",)),
    TaskError(type="Fatal", message="never"),
    TaskError(type="Boom", is_final=True),
)


def answer(path: str, used: int, salt: int) -> Json | TaskError:
    """How the attempt that is counted as the ``used``-th at a path ends."""
    drawn = zlib.crc32(f"{path}{used}{salt}".encode())
    return BAD[drawn // 100 % len(BAD)] if drawn % 100 < 22 else GOOD[drawn // 100 % len(GOOD)]


class NestedMachine:
    """One execution, three times: alive, read back now and then, and folded from what was stored."""

    def __init__(
        self, workflow: Workflow, seen: Seen, *, salt: int, told: list[str] | None = None, parent: Parent | None = None
    ) -> None:
        self.workflow, self.seen, self.salt, self.told = workflow, seen, salt, told
        self.plan = compile_plan(workflow)
        self.now = 0
        self.live, self.twin, self.folded = (Execution(ID, self.plan) for _ in range(3))
        self.watch = Watch(workflow)
        self.pins = {} if salt % 3 else {"child": "7", "undo": "8"}
        self.letters = Letters(parent, self.pins)
        self.stored: list[bytes] = []
        self.history: list[ev.Event] = []
        self.owed: set[Effect] = set()
        self.answered: Counter[int] = Counter()
        self.lost: Counter[int] = Counter()
        self.snapshot: tuple[int, bytes] | None = None

    def do(self, command: cmd.Command) -> Turn | None:
        """Give a command to all three; ``None`` when it was refused."""
        if self.told is not None:
            self.told.append(str(command))
        kind = type(command).__name__
        try:
            turn = advance(self.live, command)
        except TaskEngineError as refusal:
            self._refused(command, refusal)
            return None
        again = advance(self.twin, command)
        assert (again.events, again.effects) == (turn.events, turn.effects), "the twin answers differently"
        self.seen.add("command accepted", kind)
        effects: list[Effect] = []
        for event in turn.events:
            read = decode_event(stored := encode_event(event))
            assert read == event
            self.stored.append(stored)
            self.history.append(event)
            self.seen.add("event", type(event).__name__)
            effects += evolve(self.folded, read)
            self.watch.see(read)
        assert effects == turn.effects, "folding gives other effects than the turn"
        self.letters.take(turn.events, effects)
        self.owed = sum_of([*self.owed, *effects])
        assert self.owed == outstanding(self.live)
        if turn.events:
            check(self.live)
            check(self.folded)
            self.watch.must_fit(self.live)
        if isinstance(command, cmd.ChildEnded):
            self.letters.ended(command.child)
        self.letters.must_fit(self.live, paused=self._children(self.watch.paused), cancelled=self._children(self.watch.cancelled))
        return turn

    def _children(self, told: set[str]) -> set[int]:
        """Tasks with children that a pause or a cancel has reached."""
        return {number for number in self.live.children if told & self.watch.tree.ways_up(number)}

    def _refused(self, command: cmd.Command, refusal: TaskEngineError) -> None:
        with pytest.raises(type(refusal)) as other:
            advance(self.twin, command)
        assert (other.value.name, other.value.message) == (refusal.name, refusal.message)
        assert self.live.seq == len(self.stored)
        self.seen.add("command refused", type(command).__name__)
        self.seen.add("refusal", refusal.name)

    # ── the world ────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        self.do(cmd.Start(**self.beginning(), variables={"by_hand": raw(0)}))

    def beginning(self) -> dict[str, Any]:
        """What every start says."""
        return {
            "at": self.now,
            "workflow_id": "wf_1",
            "workflow_version": "1",
            "seed": self.salt,
            "input": raw(INPUT),
            "parent": self.letters.parent,
            "pins": self.pins,
        }

    def fork_of(self, origin: NestedMachine, path: str) -> None:
        """Begin with what another execution has done before a step."""
        found = heritage(origin.live, origin.history, self.plan, path)
        more = {"variables": dict(found.variables), "origin": PEER, "path": path, "tasks": found.tasks}
        self.do(cmd.Fork(**self.beginning(), **more))

    def running(self) -> list[tuple[int, int]]:
        return [(number, task.attempt) for number, task in self.live.live.items() if task.is_launched]

    def open_tasks(self) -> list[int]:
        return [number for number in range(1, len(self.live.phase)) if self.live.phase[number] < Phase.COMPLETED]

    def reply(self, number: int, attempt: int) -> None:
        """As the table of answers says."""
        self.answered[number] += 1
        said = answer(self.live.path_of(number), self.answered[number], self.salt)
        end = cmd.Failed(said) if isinstance(said, TaskError) else cmd.Succeeded(raw(said))
        self.do(cmd.Report(at=self.now, task=number, attempt=attempt, end=end))

    def signal_for(self, number: int) -> None:
        """What a waiting step waits for; nothing comes for one that waits for what never comes."""
        task, scope = self.live.live[number], self.live.scopes[number]
        if not task.signal or task.signal == "never":
            return
        around = scope
        while around.up is not None and not around.block.is_repeated:
            around = around.up
        index = around.index if self.live.steps[number].filter is not None else 0
        self.do(cmd.Signal(at=self.now, name=task.signal, data=raw(signal_data(index))))

    def asking(self) -> list[int]:
        return [number for number in self.live.live if is_asking(self.live, number)]

    def decide(self, number: int, *, by: str = "ann") -> None:
        """As the table of answers says; Ann may always."""
        path = self.live.path_of(number)
        said = answer(path, self.live.live[number].attempt, self.salt)
        data = ABSENT if isinstance(said, TaskError) else raw(said)
        self.do(cmd.Decide(at=self.now, path=path, is_approved=not isinstance(said, TaskError), by=by, data=data))

    def end_child(self, number: int, *, obeys: bool = True) -> None:
        """The child of a task ends as the table of answers says, unless it was cancelled and obeys."""
        attempt, child = self.live.live[number].attempt, self.live.children[number]
        said = answer(self.live.path_of(number), attempt, self.salt)
        end: dict[str, Any]
        if self.letters.children[child].is_cancelled and obeys:
            end = {"status": Status.CANCELLED}
        elif isinstance(said, TaskError):
            end = {"status": Status.FAILED, "error": said}
        else:
            end = {"status": Status.COMPLETED, "output": raw(said)}
        self.do(cmd.ChildEnded(at=self.now, task=number, attempt=attempt, child=child, **end))

    def crash(self, *, is_counted: bool) -> None:
        """Lose everything but what was stored; read it back whole, or from a snapshot on."""
        if self.snapshot is None:
            self.live = fold(ID, self.plan, map(decode_event, self.stored))
            self.seen.add("other", "crash, all folded")
        else:
            seq, document = self.snapshot
            self.live = fold(ID, self.plan, map(decode_event, self.stored[seq:]), state=restore(ID, self.plan, document))
            self.seen.add("other", "crash, snapshot and tail")
        check(self.live)
        must_agree(self.live, self.folded, is_judged=False)
        must_agree(self.live, self.twin, is_judged=False)
        self.lose(self.running(), is_counted=is_counted)

    def lose(self, attempts: Sequence[tuple[int, int]], *, is_counted: bool) -> None:
        self.lost.update(number for number, _ in attempts)
        self.do(cmd.Lost(at=self.now, attempts=tuple(attempts), is_counted=is_counted))

    def read_back(self, *, by_snapshot: bool) -> None:
        """From here on the twin is what somebody else would have read."""
        if by_snapshot:
            document = dump(self.live)
            self.snapshot = (self.live.seq, document)
            self.twin = restore(ID, self.plan, document)
            assert dump(self.twin) == document, f"{document!r} is read as {dump(self.twin)!r}"
            must_agree(self.twin, self.live)
        else:
            self.twin = fold(ID, self.plan, map(decode_event, self.stored))
            must_agree(self.twin, self.live, is_judged=False)
        check(self.twin)
        turn = advance(self.twin, cmd.Tick(at=self.live.at))
        assert not turn.events, f"reading back makes {turn.events} happen"

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def heal(self) -> None:
        """No more accidents: everything goes on and is answered, and the execution must end within a bounded number of rounds."""
        paused = sorted(map(self.live.path_of, self.live.paused)) + ["/"] * self.live.is_paused
        for path in paused:
            self.do(cmd.Resume(at=self.now, path=path))
        for _ in range(400):
            if self.live.is_finished:
                return
            self._help()
        tasks = {self.live.path_of(number): why(self.live, self.live.path_of(number)) for number in self.open_tasks()}
        raise AssertionError(f"it cannot be ended: {tasks}")

    def _help(self) -> None:
        self.do(cmd.Admit(at=self.now, slots=100, suspect_slots=100))
        for number, attempt in self.running():
            if number in self.live.live and not self.live.is_finished:
                self.reply(number, attempt)
        for number, task in tuple(self.live.live.items()):
            if task.is_stuck and self.live.phase[number] == Phase.WAITING and not self.live.is_finished:
                self.do(cmd.Retry(at=self.now, path=self.live.path_of(number)))
            if task.signal and number in self.live.live and not self.live.is_finished:
                self.signal_for(number)
        self._answer_all()
        if self.live.wake_at is not None and not self.live.counts[Phase.RUNNING]:
            self.now = max(self.now, self.live.wake_at)
        self.do(cmd.Tick(at=self.now))

    def _answer_all(self) -> None:
        for number in self.asking():
            if number in self.asking():
                self.decide(number)
        for number in tuple(self.live.children):
            if number in self.live.children:
                self.end_child(number)


class NestedPlayer:
    """Turns tapes into operations."""

    def __init__(self, machine: NestedMachine, *, is_tame: bool) -> None:
        self.machine = machine
        self.operations = TAME if is_tame else WILD
        self.is_tame = is_tame

    def step(self, numbers: Sequence[int]) -> None:
        tape, machine = Tape(numbers), self.machine
        operation = tape.weighted(self.operations)
        machine.now += tape.pick((0, 0, 0, 1, 100, 1_000))
        operation(self, tape)

    def _path(self, tape: Tape, *, is_open: bool = True) -> str:
        state = self.machine.live
        numbers = self.machine.open_tasks() if is_open else range(1, len(state.phase))
        return state.path_of(tape.pick(numbers)) if numbers else "/"

    def report(self, tape: Tape) -> None:
        running = self.machine.running()
        if running:
            self.machine.reply(*tape.pick(running))
        else:
            self.admit(tape)

    def admit(self, tape: Tape) -> None:
        slots, suspect_slots = tape.pick(((100, 1), (1, 1), (2, 0)))
        self.machine.do(cmd.Admit(at=self.machine.now, slots=slots, suspect_slots=suspect_slots))

    def tick(self, tape: Tape) -> None:
        machine = self.machine
        if machine.live.wake_at is not None and tape.chance(60):
            machine.now = max(machine.now, machine.live.wake_at - tape.pick((0, 0, 1)))
        machine.do(cmd.Tick(at=machine.now))

    def signal(self, tape: Tape) -> None:
        waiting = [number for number, task in self.machine.live.live.items() if task.signal]
        if waiting:
            self.machine.signal_for(tape.pick(waiting))

    def pause(self, tape: Tape) -> None:
        path = "/" if tape.chance(15) else self._path(tape)
        self.machine.do(cmd.Pause(at=self.machine.now, path=path))

    def resume(self, tape: Tape) -> None:
        state = self.machine.live
        paused = sorted(map(state.path_of, state.paused)) + ["/"] * state.is_paused
        self.machine.do(cmd.Resume(at=self.machine.now, path=tape.pick(paused or ["/"])))

    def lose(self, tape: Tape) -> None:
        machine = self.machine
        running = [one for one in machine.running() if not self.is_tame or machine.lost[one[0]] < MOST_LOSSES]
        if running:
            machine.lose(running if tape.chance(40) else [tape.pick(running)], is_counted=tape.chance(70))

    def crash(self, tape: Tape) -> None:
        machine = self.machine
        if not self.is_tame or all(machine.lost[number] < MOST_LOSSES for number, _ in machine.running()):
            machine.crash(is_counted=tape.chance(60))

    def read_back(self, tape: Tape) -> None:
        self.machine.read_back(by_snapshot=tape.chance(60))

    def late(self, tape: Tape) -> None:
        """Of an attempt that is not running, or a task that never was."""
        machine = self.machine
        number, attempt = tape.below(len(machine.live.phase) + 2), 1 + tape.below(3)
        if (number, attempt) not in machine.running():
            assert machine.do(cmd.Report(at=machine.now, task=number, attempt=attempt, end=cmd.Abandoned())) is None

    def set_variables(self, tape: Tape) -> None:
        name = tape.pick(("by_hand", "by_hand", "nobody_knows"))
        self.machine.do(cmd.SetVariables(at=self.machine.now, values={name: raw(tape.number())}))

    def decide(self, tape: Tape) -> None:
        asking = self.machine.asking()
        if asking:
            self.machine.decide(tape.pick(asking), by="ann" if self.is_tame else tape.pick(("ann", "ann", "bob", "")))

    def end_child(self, tape: Tape) -> None:
        """Of those that are waited for; or one that never was."""
        machine = self.machine
        if machine.live.children and not tape.chance(5):
            machine.end_child(tape.pick(sorted(machine.live.children)), obeys=not tape.chance(20))
        else:
            ended = cmd.ChildEnded(at=machine.now, task=tape.below(4), attempt=1, child="ex_nobody", status=Status.COMPLETED)
            assert machine.do(ended) is None

    def look(self, tape: Tape) -> None:
        machine = self.machine
        path = self._path(tape, is_open=False)
        assert why(machine.live, path)
        assert all(line.text for line in story(machine.live, machine.history, path))

    # ── what only wild ones suffer ───────────────────────────────────────────────────────────────────────────────────

    def cancel(self, tape: Tape) -> None:
        path = "/" if tape.chance(12) else self._path(tape, is_open=not tape.chance(20))
        compensates = tape.chance(70 if path == "/" else 10)
        self.machine.do(cmd.Cancel(at=self.machine.now, path=path, compensates=compensates))
        if tape.chance(30):
            self.machine.do(tape.pick((cmd.Pause, cmd.Cancel, cmd.Retry))(at=self.machine.now, path=path))

    def terminate(self, tape: Tape) -> None:
        path = "/" if tape.chance(8) else self._path(tape, is_open=not tape.chance(20))
        self.machine.do(cmd.Terminate(at=self.machine.now, path=path))

    def retry(self, tape: Tape) -> None:
        state = self.machine.live
        bad = [number for number in range(1, len(state.phase)) if state.phase[number] in {Phase.FAILED, Phase.CANCELLED}]
        path = state.path_of(tape.pick(bad)) if bad and tape.chance(60) else self._path(tape, is_open=False)
        if state.is_finished and tape.chance(50):
            path = "/"
        self.machine.do(cmd.Retry(at=self.machine.now, path=path))

    def skip(self, tape: Tape) -> None:
        """What has failed or was cut off, what is open, and what cannot be skipped."""
        state = self.machine.live
        bad = [number for number in range(1, len(state.phase)) if state.phase[number] in {Phase.FAILED, Phase.CANCELLED}]
        path = state.path_of(tape.pick(bad)) if bad and tape.chance(50) else self._path(tape, is_open=not tape.chance(20))
        self.machine.do(cmd.Skip(at=self.machine.now, path=path, by="somebody"))

    def ask_anything(self, tape: Tape) -> None:
        """A decision about whatever stands there; a start of what has been started."""
        machine = self.machine
        path = self._path(tape, is_open=False)
        decision = cmd.Decide(at=machine.now, path=path, is_approved=tape.chance(70), by=tape.pick(("ann", "bob")))
        fork = cmd.Fork(**machine.beginning(), origin=PEER, path=path)
        machine.do(tape.pick((decision, fork, cmd.Start(**machine.beginning()))))

    def lose_again_and_again(self, tape: Tape) -> None:
        """What runs dies with its process until nobody tries any more."""
        machine = self.machine
        for _ in range(8):
            machine.do(cmd.Admit(at=machine.now, slots=100, suspect_slots=100))
            machine.lose(machine.running(), is_counted=True)

    def end_oddly(self, tape: Tape) -> None:
        """Abandoned, silent, or alive: what a running attempt may do but for ending by the table."""
        running = self.machine.running()
        if not running:
            return
        number, attempt = tape.pick(running)
        at = self.machine.now
        self.machine.do(
            tape.pick(
                (
                    cmd.Report(at=at, task=number, attempt=attempt, end=cmd.Abandoned()),
                    cmd.Progress(at=at, task=number, attempt=attempt, progress=raw({"fraction": 0.5})),
                    cmd.Silent(at=at, task=number, attempt=attempt),
                )
            )
        )


Operation = Callable[[NestedPlayer, Tape], None]
TAME: Final[Sequence[tuple[int, Operation]]] = (
    (26, NestedPlayer.report),
    (16, NestedPlayer.admit),
    (12, NestedPlayer.tick),
    (8, NestedPlayer.signal),
    (6, NestedPlayer.pause),
    (8, NestedPlayer.resume),
    (4, NestedPlayer.lose),
    (3, NestedPlayer.crash),
    (4, NestedPlayer.read_back),
    (2, NestedPlayer.late),
    (2, NestedPlayer.set_variables),
    (8, NestedPlayer.decide),
    (8, NestedPlayer.end_child),
    (2, NestedPlayer.look),
)
WILD: Final[Sequence[tuple[int, Operation]]] = (
    *TAME,
    (5, NestedPlayer.cancel),
    (3, NestedPlayer.terminate),
    (12, NestedPlayer.retry),
    (6, NestedPlayer.end_oddly),
    (5, NestedPlayer.skip),
    (2, NestedPlayer.ask_anything),
    (1, NestedPlayer.lose_again_and_again),
)


def play_nested(
    graph: Sequence[int], steps: Sequence[Sequence[int]], seen: Seen, *, is_tame: bool, told: list[str] | None = None
) -> NestedMachine:
    """One whole example, until it has ended."""
    tape = Tape(graph)
    salt = tape.number()
    parent = PARENT if salt % 4 == 1 else None
    machine = NestedMachine((tame if is_tame else wild)(tape), seen, salt=salt, told=told, parent=parent)
    player = NestedPlayer(machine, is_tame=is_tame)
    machine.start()
    for step in steps:
        if machine.live.is_finished and (is_tame or machine.watch.seen["ExecutionRetried"] > MOST_ROUNDS):
            break
        player.step(step)
    machine.heal()
    return machine


def step_of(machine: NestedMachine) -> str:
    """Any step of the root block, or everything."""
    paths = ["/", *(f"/{step.id}/" for step in machine.workflow.steps)]
    return paths[machine.salt // 3 % len(paths)]


def play_fork(
    origin: NestedMachine, path: str, steps: Sequence[Sequence[int]], seen: Seen, *, is_tame: bool, told: list[str] | None = None
) -> NestedMachine:
    """A fork of an example that has ended, until it has ended as well."""
    machine = NestedMachine(origin.workflow, seen, salt=origin.salt, told=told, parent=origin.letters.parent)
    machine.fork_of(origin, path)
    must_begin_as_new(machine)
    player = NestedPlayer(machine, is_tame=is_tame)
    for step in steps:
        if machine.live.is_finished:
            break
        player.step(step)
    machine.heal()
    return machine


def must_begin_as_new(fork: NestedMachine) -> None:
    """A fork that takes nothing over begins as any execution does."""
    begun, forked = fork.history[:2]
    assert isinstance(begun, ev.ExecutionStarted)
    assert isinstance(forked, ev.ExecutionForked)
    if forked.tasks or bytes(begun.variables["by_hand"]) != b"0" or len(begun.variables) > 1:
        return
    fresh = NestedMachine(fork.workflow, Seen(), salt=fork.salt, parent=fork.letters.parent)
    fresh.start()
    assert [begun, *fork.history[2:]] == fresh.history


def gave(machine: NestedMachine) -> dict[str, Json]:
    """What every completed task gave, from the history."""
    return {
        machine.live.path_of(event.task): decode(event.output) if event.output else None
        for event in machine.history
        if isinstance(event, ev.TaskCompleted)
    }


def document(workflow: Workflow) -> str:
    """To be read by people."""
    return msgspec.yaml.encode(workflow).decode()

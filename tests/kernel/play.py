"""Random operations for the machine: what people, programs, time and accidents do to an execution. Sensible ones weigh more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from taskengine.kernel.decide import SIGNAL_LIMIT
from taskengine.model import command as cmd
from taskengine.model.status import OPEN, SETTLED, Phase
from taskengine.model.value import ABSENT, Raw, TaskError, raw
from taskengine.model.workflow import Workflow
from tests.kernel.graphs import INPUT, SIGNALS
from tests.kernel.machine import Machine
from tests.kernel.seen import Seen
from tests.kernel.tape import Tape

STEPS_OF_TIME: Final = (0, 0, 0, 1, 10, 100, 500, 1_000, 1_000, 3_000, 5_000, 10_000, -1_000)
OUTPUTS: Final = (raw({"x": 2}), raw({"x": 3}), raw({"x": 0}), raw({}), raw(None), raw("text"), ABSENT)
BEGUN: Final = OPEN - {Phase.PENDING}
AGAIN: Final = frozenset({Phase.FAILED, Phase.CANCELLED, Phase.RETRYING})
ERRORS: Final = (
    TaskError(type="Boom", message="no"),
    TaskError(type="Sub", bases=("Base",)),
    TaskError(type="Fatal"),
    TaskError(type="Other"),
    TaskError(type="Boom", is_final=True),
    TaskError(type="Busy", retry_after_ms=4_000),
)


class Player:
    """Turns tapes into operations on one machine."""

    def __init__(self, workflow: Workflow, seen: Seen, told: list[str] | None) -> None:
        self.workflow = workflow
        self.told = told
        self.machine = Machine(workflow, seen, told)
        self.paths = [step.path for step in self.machine.plan.steps]
        self.seen = seen

    def begin(self, tape: Tape) -> None:
        """Every command comes too early first; then the start."""
        for kind in self.commands():
            self.machine.do(kind(tape))
        self.machine.do(
            cmd.Start(
                at=self.machine.now,
                workflow_id="wf_1",
                workflow_version="1",
                seed=tape.number(),
                input=raw(INPUT),
                variables={"n": raw(tape.below(4))},
                priority=tape.pick((None, None, 7)),
            )
        )

    def step(self, numbers: Sequence[int]) -> None:
        """One operation."""
        tape = Tape(numbers)
        operation = tape.weighted(OPERATIONS)
        self.machine.now += tape.pick(STEPS_OF_TIME)
        if self.machine.live.is_finished and tape.chance(60):
            operation = Player.go_on
        operation(self, tape)
        if tape.chance(70):
            self.machine.world.perform()

    def go_on(self, tape: Tape) -> None:
        """After an end: what failed is retried; where there is nothing to retry, the workflow is executed anew."""
        machine = self.machine
        if tape.chance(60) and machine.do(cmd.Retry(at=machine.now)) is not None:
            return
        if tape.chance(60) and machine.do(cmd.Retry(at=machine.now, path=self.one_of(tape, SETTLED))) is not None:
            return
        machine.close()
        self.machine = Machine(self.workflow, self.seen, self.told)
        self.begin(tape)

    # ── what commands are made of ────────────────────────────────────────────────────────────────────────────────────

    def commands(self) -> tuple[Callable[[Tape], cmd.Command], ...]:
        """Each command but the start, with anything at all in it."""
        at = self.machine.now
        return (
            lambda _: cmd.Signal(at=at, name="go", data=Raw(b"1")),
            lambda tape: cmd.Pause(at=at, path=self.any_path(tape)),
            lambda tape: cmd.Resume(at=at, path=self.any_path(tape)),
            lambda tape: cmd.Cancel(at=at, path=self.any_path(tape)),
            lambda tape: cmd.Terminate(at=at, path=self.any_path(tape)),
            lambda tape: cmd.Retry(at=at, path=self.any_path(tape)),
            lambda tape: cmd.Skip(at=at, path=self.any_path(tape)),
            lambda tape: cmd.Decide(at=at, path=self.any_path(tape), is_approved=tape.chance(50)),
            lambda tape: cmd.Report(at=at, task=tape.below(4), attempt=tape.below(3), end=cmd.Abandoned()),
            lambda tape: cmd.Lost(at=at, attempts=((1, 1), (tape.below(4), 1), (1, 1))),
            lambda tape: cmd.Progress(at=at, task=tape.below(4), attempt=tape.below(3)),
            lambda tape: cmd.Silent(at=at, task=tape.below(4), attempt=tape.below(3)),
            lambda _: cmd.Tick(at=at),
            lambda _: cmd.Admit(at=at, slots=1, suspect_slots=1),
        )

    def any_path(self, tape: Tape) -> str:
        return tape.weighted([(2, "/"), (2, "/nowhere/"), (6, tape.pick(self.paths))])

    def one_of(self, tape: Tape, phases: frozenset[Phase]) -> str:
        """A task in one of these phases, else any."""
        state = self.machine.live
        found = [step.path for step in state.plan.steps[1:] if Phase(state.phase[step.number]) in phases]
        return tape.pick(found or self.paths)

    # ── the shell's ──────────────────────────────────────────────────────────────────────────────────────────────────

    def admit(self, tape: Tape) -> None:
        slots, suspect_slots = tape.pick(((100, 1), (1, 0), (1, 1), (2, 0), (0, 1), (0, 0)))
        self.machine.do(cmd.Admit(at=self.machine.now, slots=slots, suspect_slots=suspect_slots))

    def report(self, tape: Tape) -> None:
        machine = self.machine
        running = machine.world.running()
        if not running and machine.world.pending:
            machine.world.perform()
            running = machine.world.running()
        if not running:
            machine.do(cmd.Admit(at=machine.now, slots=tape.pick((100, 1)), suspect_slots=1))
            return
        number, attempt = tape.pick(running)
        self.answer(tape, number, attempt)

    def answer(self, tape: Tape, number: int, attempt: int) -> None:
        end = tape.weighted(
            [
                (9, cmd.Succeeded(tape.pick(OUTPUTS))),
                (5, cmd.Failed(tape.pick(ERRORS))),
                (1, cmd.Abandoned()),
            ]
        )
        self.machine.do(cmd.Report(at=self.machine.now, task=number, attempt=attempt, end=end))

    def beat(self, tape: Tape) -> None:
        """Something that runs tells how far it is, or only that it lives, or says nothing for too long."""
        machine = self.machine
        running = machine.world.running()
        if running:
            number, attempt = tape.pick(running)
            progress = tape.pick((ABSENT, raw({"fraction": 0.5})))
            told = tape.weighted(
                [
                    (3, cmd.Progress(at=machine.now, task=number, attempt=attempt, progress=progress)),
                    (1, cmd.Silent(at=machine.now, task=number, attempt=attempt)),
                ]
            )
            machine.do(told)

    def answer_late(self, tape: Tape) -> None:
        """A report of any attempt that ever was, or never was."""
        ever = [*self.machine.how_far, (0, 1), (1, 0), (99, 1), (1, 99)]
        number, attempt = tape.pick(ever)
        self.answer(tape, number, attempt)

    def lose(self, tape: Tape) -> None:
        running = self.machine.world.running()
        attempts = running if tape.chance(50) else running[:1]
        lost = cmd.Lost(at=self.machine.now, attempts=(*attempts, *attempts[:1], (1, 77)), is_counted=tape.chance(70))
        self.machine.do(lost)

    def lose_again_and_again(self, tape: Tape) -> None:
        """What runs dies with its process until nobody tries any more."""
        machine = self.machine
        for _ in range(4 + tape.below(5)):
            machine.do(cmd.Admit(at=machine.now, slots=100, suspect_slots=100))
            machine.world.perform()
            machine.do(cmd.Lost(at=machine.now, attempts=tuple(machine.world.running())))

    def tick(self, tape: Tape) -> None:
        """Time passes: by chance, or until something is due, or almost."""
        machine = self.machine
        if machine.live.wake_at is not None and tape.chance(60):
            machine.now = max(machine.now, machine.live.wake_at - tape.pick((0, 0, 1)))
        machine.do(cmd.Tick(at=machine.now))

    def perform(self, tape: Tape) -> None:
        self.seen.add("other", "effects in any order")
        self.machine.world.perform(tape)

    # ── people's ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def signal(self, tape: Tape) -> None:
        self.machine.do(cmd.Signal(at=self.machine.now, name=tape.pick((*SIGNALS, "nobody")), data=raw(tape.number())))

    def flood(self, tape: Tape) -> None:
        """Signals until no more fit; seldom, for it takes long. Watched from the outside only while it lasts."""
        machine = self.machine
        machine.signal_until(SIGNAL_LIMIT)
        for name in SIGNALS * 10:
            machine.do(cmd.Signal(at=machine.now, name=name, data=raw(1)))
        machine.do(cmd.Terminate(at=machine.now))

    def pause(self, tape: Tape) -> None:
        path = "/" if tape.chance(50) else self.one_of(tape, BEGUN)
        for _ in range(tape.pick((1, 1, 2))):
            self.machine.do(cmd.Pause(at=self.machine.now, path=path))

    def resume(self, tape: Tape) -> None:
        state = self.machine.live
        paused = sorted(map(state.path_of, state.paused)) + ["/"] * state.is_paused
        self.machine.do(cmd.Resume(at=self.machine.now, path=tape.pick(paused or ["/"])))

    def cancel_task(self, tape: Tape) -> None:
        path = self.one_of(tape, OPEN)
        for _ in range(tape.pick((1, 2))):
            self.machine.do(cmd.Cancel(at=self.machine.now, path=path))

    def cancel(self, tape: Tape) -> None:
        """And again, and something else that comes too late."""
        at = self.machine.now
        self.machine.do(cmd.Cancel(at=at, reason="enough"))
        if tape.chance(80):
            path = self.one_of(tape, OPEN)
            self.machine.do(tape.pick((cmd.Cancel, cmd.Pause, cmd.Retry))(at=at, path=tape.pick(("/", path))))

    def terminate_task(self, tape: Tape) -> None:
        path = self.one_of(tape, BEGUN)
        self.machine.do(cmd.Terminate(at=self.machine.now, path=path))

    def terminate(self, tape: Tape) -> None:
        self.machine.do(cmd.Terminate(at=self.machine.now, by="somebody"))

    def retry(self, tape: Tape) -> None:
        if self.machine.live.is_finished and tape.chance(60):
            self.machine.do(cmd.Retry(at=self.machine.now))
        else:
            path = "/" if tape.chance(10) else self.one_of(tape, AGAIN)
            self.machine.do(cmd.Retry(at=self.machine.now, path=path))

    def skip(self, tape: Tape) -> None:
        """Mostly what has failed or waits for something."""
        path = tape.weighted([(5, self.one_of(tape, AGAIN)), (4, self.one_of(tape, OPEN)), (1, "/")])
        self.machine.do(cmd.Skip(at=self.machine.now, path=path, by="somebody"))

    def retry_with_cause(self, tape: Tape) -> None:
        """A failed task, and those it depends on that failed as well: it goes through its join again."""
        path = self.one_of(tape, AGAIN)
        step = self.machine.plan.steps[self.machine.plan.number_of(path)]
        for number in (*step.dependencies, step.number):
            if Phase(self.machine.live.phase[number]) in AGAIN:
                self.machine.do(cmd.Retry(at=self.machine.now, path=self.paths[number]))

    def anything(self, tape: Tape) -> None:
        """Nonsense included."""
        self.machine.do(tape.pick(self.commands())(tape))

    def start_again(self, tape: Tape) -> None:
        self.machine.do(cmd.Start(at=self.machine.now, workflow_id="", workflow_version="", seed=0, input=ABSENT))

    # ── accidents ────────────────────────────────────────────────────────────────────────────────────────────────────

    def crash(self, tape: Tape) -> None:
        self.machine.crash(is_counted=tape.chance(60))

    def read_back(self, tape: Tape) -> None:
        self.machine.replace_twin(by_snapshot=tape.chance(50))

    def look(self, tape: Tape) -> None:
        self.machine.take_snapshot()
        self.machine.tell(tape.pick(self.paths))


OPERATIONS: Final[Sequence[tuple[int, Callable[[Player, Tape], None]]]] = (
    (20, Player.tick),
    (36, Player.report),
    (24, Player.admit),
    (14, Player.signal),
    (10, Player.retry),
    (8, Player.resume),
    (4, Player.retry_with_cause),
    (4, Player.skip),
    (6, Player.pause),
    (8, Player.perform),
    (6, Player.read_back),
    (4, Player.look),
    (4, Player.lose),
    (4, Player.crash),
    (4, Player.answer_late),
    (12, Player.beat),
    (4, Player.cancel_task),
    (3, Player.terminate_task),
    (3, Player.cancel),
    (2, Player.terminate),
    (4, Player.lose_again_and_again),
    (12, Player.anything),
    (2, Player.start_again),
)


def play(
    workflow_tape: Sequence[int],
    steps: Sequence[Sequence[int]],
    workflow: Callable[[Tape], Workflow],
    seen: Seen,
    *,
    told: list[str] | None = None,
) -> Machine:
    """One whole example: a workflow, its start, the steps, and the healing until it has ended. ``told`` hears every command."""
    tape = Tape(workflow_tape)
    ends_in_flood = tape.below(40) == 1
    player = Player(workflow(tape), seen, told)
    player.begin(tape)
    for step in steps:
        player.step(step)
    if ends_in_flood:
        player.flood(tape)
    player.machine.heal()
    player.machine.close()
    return player.machine

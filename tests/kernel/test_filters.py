"""Waits with filters, held against the plain rule: of those who want any signal, the longest waiting takes the oldest it wants.

The rule is written down here as two loops over a state that was folded from the events. Every signal that is taken is judged by it,
and at rest it must find nobody. Then what it costs.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from taskengine.errors import ExpressionError, LimitError, TaskEngineError
from taskengine.expr import truth
from taskengine.kernel.advance import advance, fold
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.context import context
from taskengine.kernel.evolve import evolve
from taskengine.kernel.invariant import check
from taskengine.kernel.snapshot import dump, restore
from taskengine.kernel.state import Execution
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.status import Phase
from taskengine.model.value import NONE, Json, Raw, raw
from taskengine.model.workflow import Step, Workflow
from tests.amounts import amount
from tests.kernel.scene import ID, Scene, function, mapped, wait
from tests.kernel.test_cost import calls

EXAMPLES = amount(test=300, nightly=20_000)
FILTERS = (
    None,
    "event.id == item",
    "item == event.id and event.ok",
    'event.ok and (event["id"] == item and event.kind == variables.kind)',
    "event.id == [item]",
    "event == item",
    "event[0] == item or event.id == item",
    'event.kind == "x"',
    "event.id > index",
    "not event.ok",
    "variables.open and event.id == index",
    'event.id == index and steps.work.status == "completed"',
    'steps.work.status == "paused"',
    "event.id == steps.work.output.n",
    "event.ok",
)


SETTINGS = tuple(map(raw, ("x", "y", True, False)))


def data(draw: random.Random) -> Json:
    """A small world, so that much fits."""
    one: Json = draw.choice((0, 1, 2, 1.0, "1", None, [1], [2], True))
    record: dict[str, Json] = {"id": one, "ok": draw.choice((True, False)), "kind": draw.choice("xy")}
    choices: tuple[Json, ...] = (record, record, record, one, {"id": one})
    return draw.choice(choices)


def wanted(state: Execution, number: int, signal: Raw) -> bool:
    """Whether the filter lets it through."""
    step = state.steps[number]
    if step.filter is None:
        return True
    try:
        return truth(step.filter, context(state, step.filter_reads, state.scopes[number], event=signal or NONE))
    except (ExpressionError, LimitError):
        return False


def pairs(state: Execution, name: str) -> list[tuple[int, int]]:
    """Everybody who wants something, longest waiting first, and what."""
    queue = state.signals.get(name, ())
    listeners = state.listeners.get(name, ())
    return [(number, place) for number in listeners for place, one in enumerate(queue) if wanted(state, number, one)]


class Watched:
    """An execution, and beside it the state that its events alone give."""

    def __init__(self, workflow: Workflow, *, most_judged: int, is_patient: bool) -> None:
        self.plan = compile_plan(workflow)
        self.live, self.folded = Execution(ID, self.plan), Execution(ID, self.plan)
        self.most_judged, self.is_patient = most_judged, is_patient
        self.history: list[ev.Event] = []
        self.taken = self.cuts = 0
        self.now = 0

    def do(self, command: cmd.Command) -> None:
        """One command; a patient one lets everything follow before the next."""
        try:
            is_cut = self._turn(command)
        except TaskEngineError:
            return
        while is_cut and self.is_patient:
            is_cut = self._turn(cmd.Tick(at=self.now))
        if not is_cut:
            self.must_rest()

    def _turn(self, command: cmd.Command) -> bool:
        turn = advance(self.live, command, most_judged=self.most_judged)
        self.cuts += turn.is_cut
        for event in turn.events:
            self._judge(event)
            self.history.append(event)
            evolve(self.folded, event)
            check(self.folded)
        check(self.live)
        assert turn.is_cut or self.live.is_paused or self.live.is_cancelling or not self.live.matchable
        return turn.is_cut

    def _judge(self, event: ev.Event) -> None:
        task = self.folded.live.get(getattr(event, "task", 0))
        if not (isinstance(event, ev.TaskCompleted) and task is not None and task.signal):
            return
        self.taken += 1
        found, chosen = pairs(self.folded, task.signal), (event.task, event.signal)
        assert chosen in found
        if self.is_patient:
            assert found[0] == chosen
        else:  # of those that fit together, whichever was found first
            assert next(number for number, place in found if place == event.signal) == event.task
            assert next(place for number, place in found if number == event.task) == event.signal

    def must_rest(self) -> None:
        """Nobody wants what is left."""
        state = self.folded
        if not (state.is_paused or state.is_cancelling or state.is_finished):
            assert [pairs(state, name) for name in state.listeners] == [[] for _ in state.listeners]

    def crash(self, *, by_snapshot: bool) -> None:
        """Memory is lost."""
        self.live = restore(ID, self.plan, dump(self.live)) if by_snapshot else fold(ID, self.plan, self.history)
        self.do(cmd.Tick(at=self.now))


def workflow(draw: random.Random) -> Workflow:
    """A step at work, waits beside it and in a map, and steps that set what filters read."""

    def waits(name: str, *, is_inside: bool) -> Step:
        sieve = draw.choice(FILTERS)
        if sieve is not None and not is_inside:
            sieve = sieve.replace("item", "1").replace("index", "2")
        config: dict[str, Any] = {"signal": draw.choice("sst")} | ({} if sieve is None else {"filter": sieve})
        if draw.random() < 0.2:
            config["deadline"] = "5s"
        return wait(name, config=config)

    body = [waits(f"b{number}", is_inside=True) for number in range(draw.randint(1, 3))]
    setting = Step(id="setting", type="set", depends_on=("w0",), config={"kind": "y", "open": True})
    return Workflow(
        name="w",
        steps=(
            function("work"),
            *(waits(f"w{number}", is_inside=False) for number in range(draw.randint(1, 4))),
            setting,
            mapped("each", *body, items=[draw.choice((0, 1, 2, "1", None, [1])) for _ in range(draw.randint(1, 4))]),
        ),
    )


def command(draw: random.Random, watched: Watched) -> cmd.Command:
    state, at = watched.live, watched.now
    paths = [state.path_of(number) for number in range(1, len(state.phase))]
    kind = draw.choice(("signal",) * 8 + ("set", "set", "pause", "resume", "resume", "cancel", "skip", "retry", "report", "tick"))
    path = draw.choice(("/", "/work/", "/each/", *paths))
    match kind:
        case "signal":
            return cmd.Signal(at=at, name=draw.choice("sst"), data=raw(data(draw)))
        case "set":
            return cmd.SetVariables(at=at, values={draw.choice(("kind", "open")): draw.choice(SETTINGS)})
        case "pause":
            return cmd.Pause(at=at, path=path)
        case "resume":
            return cmd.Resume(at=at, path=draw.choice(("/", *(state.path_of(number) for number in state.paused))))
        case "cancel" if path != "/":
            return cmd.Cancel(at=at, path=path)
        case "skip":
            return cmd.Skip(at=at, path=path)
        case "retry":
            return cmd.Retry(at=at, path=path)
        case "report":
            end = cmd.Succeeded(raw({"n": draw.randint(0, 2)})) if draw.random() < 0.5 else cmd.Failed(cmd.TaskError(type="Boom"))
            return cmd.Report(at=at, task=1, attempt=state.live[1].attempt if 1 in state.live else 1, end=end)
        case _:
            return cmd.Tick(at=at)


def play(seed: int) -> Watched:
    """A random workflow under random commands."""
    draw = random.Random(seed)
    watched = Watched(workflow(draw), most_judged=draw.choice((1, 2, 3, 7, 1_000)), is_patient=draw.random() < 0.6)
    given = {"kind": SETTINGS[0], "open": SETTINGS[3]}
    watched.do(cmd.Start(at=0, workflow_id="", workflow_version="", seed=seed, input=NONE, variables=given))
    watched.do(cmd.Admit(at=0, slots=1))
    for _ in range(draw.randint(5, 60)):
        watched.now += draw.choice((0, 0, 0, 500))
        if draw.random() < 0.05:
            watched.crash(by_snapshot=draw.random() < 0.7)
        watched.do(command(draw, watched))
        watched.do(cmd.Admit(at=watched.now, slots=1))
    watched.is_patient = True
    watched.do(cmd.Resume(at=watched.now, path="/"))
    watched.do(cmd.Tick(at=watched.now))
    return watched


def test_whatever_happens_the_longest_waiting_takes_the_oldest_that_it_wants_and_none_is_left_that_anybody_wants() -> None:
    taken = cuts = hurried = 0
    for seed in range(EXAMPLES):
        try:
            watched = play(seed)
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise
        taken += watched.taken
        cuts += watched.cuts
        hurried += not watched.is_patient
    print(f"\n{taken} signals taken, {cuts} turns cut")
    assert taken > EXAMPLES
    assert cuts > EXAMPLES


# ── what filters read ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_set_of_the_variable_that_a_filter_reads_lets_a_waiting_signal_through() -> None:
    scene = Scene(
        function("first"),
        Step(id="open", type="set", depends_on=("first",), config={"wanted": 2}),
        wait("w", config={"signal": "go", "filter": "event.id == variables.wanted"}),
    ).start(variables={"wanted": 1})
    scene.signal("go", {"id": 2})
    assert scene.phases("w") == ["waiting"]
    scene.succeed("first")
    assert scene.phases("w") == ["completed"]


def test_a_step_that_completes_lets_a_signal_through_whose_filter_reads_it() -> None:
    scene = Scene(function("work"), wait("w", config={"signal": "go", "filter": "event == steps.work.output"})).start()
    scene.signal("go", 7)
    assert scene.phases("w") == ["waiting"]
    scene.succeed("work", output=7)
    assert scene.phases("w") == ["completed"]


def test_a_clock_that_runs_out_while_signals_are_judged_comes_after_the_signal_that_was_there_before() -> None:
    waits = [wait(f"w{number}", config={"signal": "go", "filter": "event.n > 50", "deadline": "1s"}) for number in range(5)]
    last = wait("last", config={"signal": "go", "filter": "event.n > 5", "deadline": "1s"})
    scene = Scene(*waits, last).start()
    assert advance(scene.state, cmd.Signal(at=999, name="go", data=raw({"n": 9})), most_judged=1).is_cut
    while advance(scene.state, cmd.Tick(at=1_000), most_judged=1).is_cut:
        pass
    assert scene.phases() == [*["failed"] * 5, "completed"]


# ── cost ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def waiting(size: int, sieve: str) -> Execution:
    """A map of so many waits, each for the signal of its item."""
    body = wait("paid", config={"signal": "paid", "filter": sieve})
    state = Execution(ID, compile_plan(Workflow(name="w", steps=(mapped("each", body, items=list(range(size))),))))
    turn = advance(state, cmd.Start(at=0, workflow_id="", workflow_version="", seed=0, input=NONE))
    while turn.is_cut:
        turn = advance(state, cmd.Tick(at=0))
    return state


def settle(state: Execution, command: cmd.Command) -> int:
    """How many turns it takes."""
    turns, turn = 1, advance(state, command)
    while turn.is_cut:
        turns, turn = turns + 1, advance(state, cmd.Tick(at=0))
    return turns


@pytest.mark.parametrize("sieve", ["event.id == item", "event.ok and item == event.id"])
def test_a_signal_costs_the_same_however_many_wait_for_one_like_it(sieve: str) -> None:
    def each(size: int) -> float:
        state = waiting(size, sieve)
        signals = [cmd.Signal(at=0, name="paid", data=raw({"id": number, "ok": True})) for number in reversed(range(size))]
        cost = calls(lambda: [settle(state, signal) for signal in signals]) / size
        assert state.phase[1] == Phase.COMPLETED
        return cost

    few, many = each(500), each(5_000)
    print(f"\ncalls per signal: {few:.1f} of 500, {many:.1f} of 5000")
    assert many <= 1.2 * few


def test_a_pair_is_judged_once_and_a_turn_judges_no_more_than_it_may() -> None:
    state = waiting(300, "event.id + 0 == item")
    worst = 0
    for number in range(1, 41):
        turns = settle(state, cmd.Signal(at=0, name="paid", data=raw({"id": -number})))
        worst = max(worst, turns)
    assert worst <= 2
    short = advance(state, cmd.Signal(at=0, name="paid", data=raw({"id": -1})), most_judged=10)
    assert short.is_cut
    assert calls(lambda: advance(state, cmd.Tick(at=0), most_judged=10)) < 10 * 100


def test_what_was_judged_in_vain_is_not_judged_again_after_a_snapshot() -> None:
    state = waiting(100, "event.id + 0 == item")
    for number in range(1, 51):
        settle(state, cmd.Signal(at=0, name="paid", data=raw({"id": -number})))
    again = restore(ID, state.plan, dump(state))
    one_more = cmd.Signal(at=0, name="paid", data=raw({"id": -1}))
    once, anew = calls(lambda: settle(state, one_more)), calls(lambda: settle(again, one_more))
    assert anew < 2 * once


def test_a_sieve_keeps_nothing_of_what_is_over() -> None:
    state = waiting(200, "event.id == item")
    for number in range(200):
        settle(state, cmd.Signal(at=0, name="paid", data=raw({"id": number})))
    assert state.is_finished
    assert (state.sieves, state.watched, state.listeners, state.matchable) == ({}, {}, {}, {})

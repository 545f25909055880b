"""A stage for one execution: steps in a line, commands as words, and after every one of them all that must hold is checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from taskengine.kernel.advance import Turn, advance, fold
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.invariant import check
from taskengine.kernel.outstanding import outstanding, sum_of
from taskengine.kernel.snapshot import dump, restore
from taskengine.kernel.state import Execution
from taskengine.kernel.story import story, why
from taskengine.model import command as cmd
from taskengine.model.effect import Effect
from taskengine.model.event import Event, TaskScheduled
from taskengine.model.status import Outcome, Phase, Status
from taskengine.model.value import ABSENT, Json, TaskError, decode, raw
from taskengine.model.workflow import Block, Limits, OnFailure, Step, Success, Workflow
from tests.kernel.observer import Observer

ID = "ex_00000000000000000000000000"
BOOM = TaskError(type="Boom", message="no")


def function(name: str, *depends_on: str, **options: Any) -> Step:
    """A work step."""
    return Step(id=name, type="function", depends_on=depends_on, **options)


def noop(name: str, *depends_on: str, **options: Any) -> Step:
    """A step that does nothing."""
    return Step(id=name, type="noop", depends_on=depends_on, **options)


def wait(name: str, *depends_on: str, config: dict[str, Any], **options: Any) -> Step:
    """A step that waits."""
    return Step(id=name, type="wait", depends_on=depends_on, config=config, **options)


def approval(name: str, *depends_on: str, **config: Any) -> Step:
    """A step that asks people."""
    return Step(id=name, type="approval", depends_on=depends_on, config=config)


def block(*steps: Step, **options: Any) -> Block:
    """A block of steps."""
    return Block(steps=steps, **options)


def condition(name: str, *depends_on: str, cases: dict[str, tuple[Step, ...]], **options: Any) -> Step:
    """A condition; the case "" is its else."""
    blocks = tuple(Block(when=when or None, steps=steps) for when, steps in cases.items())
    return Step(id=name, type="condition", depends_on=depends_on, blocks=blocks, **options)


def parallel(name: str, *depends_on: str, branches: dict[str, tuple[Step, ...]], **options: Any) -> Step:
    """Branches side by side."""
    blocks = tuple(Block(name=branch, steps=steps) for branch, steps in branches.items())
    return Step(id=name, type="parallel", depends_on=depends_on, blocks=blocks, **options)


def mapped(name: str, *steps: Step, items: Any, output: Any = None, config: dict[str, Any] | None = None, **options: Any) -> Step:
    """A map over items."""
    blocks = (Block(steps=steps, output=output),)
    return Step(id=name, type="map", config={"items": items, **(config or {})}, blocks=blocks, **options)


def loop(name: str, *steps: Step, config: dict[str, Any], output: Any = None, **options: Any) -> Step:
    """A loop."""
    return Step(id=name, type="loop", config=config, blocks=(Block(steps=steps, output=output),), **options)


class Scene:
    """One execution at second 0; ``at(seconds)`` moves the clock."""

    def __init__(
        self,
        *steps: Step,
        output: Any = None,
        success: Success | None = None,
        on_failure: OnFailure = OnFailure.FAIL,
        **limits: Any,
    ) -> None:
        self.workflow = Workflow(
            name="scene", version="1", steps=steps, output=output, success=success, on_failure=on_failure, limits=Limits(**limits)
        )
        self.plan = compile_plan(self.workflow)
        self.state = Execution(ID, self.plan)
        is_plain = (
            success is None
            and not any(step.compensate for step in steps)
            and all(step.type in {"function", "noop", "wait"} and "filter" not in step.config for step in steps)
        )
        self.observer = Observer(self.workflow) if is_plain else None  # it knows nothing else
        self.now = 0
        self.history: list[Event] = []
        self.effects: list[Effect] = []  # of the last command
        self.events: list[Event] = []  # of the last command
        self._owed: set[Effect] = set()

    def at(self, seconds: float) -> Scene:
        """The clock shows so many seconds; time passes (a tick)."""
        self.now = round(seconds * 1_000)
        self.do(cmd.Tick(at=self.now))
        return self

    def do(self, command: cmd.Command) -> Turn:
        """One command, and every check there is."""
        turn = advance(self.state, command)
        self.history += turn.events
        self.events, self.effects = turn.events, turn.effects
        self._owed = sum_of([*self._owed, *turn.effects])
        if self.observer is not None:
            for event in turn.events:
                self.observer.see(event)
            self.observer.at_rest(max(command.at, self.state.at))
        check(self.state)
        assert self._owed == outstanding(self.state)
        assert restore_again(self.state) == dump(self.state)
        check(fold(ID, self.plan, self.history))
        return turn

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, *, given: Json = None, admit: int = 100, **options: Any) -> Scene:
        """Start, and give slots to what is ready."""
        variables = {name: raw(value) for name, value in options.pop("variables", {}).items()}
        self.do(
            cmd.Start(
                at=self.now, workflow_id="wf_1", workflow_version="1", seed=7, input=raw(given), variables=variables, **options
            )
        )
        if admit:
            self.admit(admit)
        return self

    def admit(self, slots: int = 100, suspect_slots: int = 0) -> list[str]:
        """Give slots; the names of what began, paths of what stands below a container."""
        turn = self.do(cmd.Admit(at=self.now, slots=slots, suspect_slots=suspect_slots))
        return [self.state.path_of(event.task).strip("/") for event in turn.events if isinstance(event, TaskScheduled)]

    def number(self, name: str) -> int:
        """The task of a step, or at a path without its outer slashes."""
        return self.state.number_of(f"/{name}/")

    def succeed(self, *names: str, output: Json = None, admit: bool = True) -> Scene:
        """The running attempts of these steps end well; what is ready then begins."""
        for name in names:
            self.report(name, cmd.Succeeded(ABSENT if output is None else raw(output)))
        if admit:
            self.admit()
        return self

    def fail(self, *names: str, error: TaskError = BOOM, admit: bool = True) -> Scene:
        """The running attempts of these steps end badly."""
        for name in names:
            self.report(name, cmd.Failed(error))
        if admit:
            self.admit()
        return self

    def report(self, name: str, end: cmd.AttemptEnd, *, attempt: int | None = None) -> Turn:
        """An attempt has ended; the running one, unless told otherwise."""
        number = self.number(name)
        running = self.state.live[number].attempt if attempt is None else attempt
        return self.do(cmd.Report(at=self.now, task=number, attempt=running, end=end))

    def lose(self, name: str, *, is_counted: bool = True) -> Turn:
        """The running attempt's process died."""
        number = self.number(name)
        attempts = ((number, self.state.live[number].attempt),)
        return self.do(cmd.Lost(at=self.now, attempts=attempts, is_counted=is_counted))

    def signal(self, name: str, data: Json = None) -> Turn:
        """A signal arrives."""
        return self.do(cmd.Signal(at=self.now, name=name, data=raw(data)))

    def pause(self, path: str = "/") -> Turn:
        """Pause."""
        return self.do(cmd.Pause(at=self.now, path=path))

    def resume(self, path: str = "/") -> Turn:
        """Resume."""
        return self.do(cmd.Resume(at=self.now, path=path))

    def cancel(self, path: str = "/", reason: str = "") -> Turn:
        """Cancel."""
        return self.do(cmd.Cancel(at=self.now, path=path, reason=reason))

    def terminate(self, path: str = "/") -> Turn:
        """Terminate."""
        return self.do(cmd.Terminate(at=self.now, path=path))

    def retry(self, path: str = "/") -> Turn:
        """Retry."""
        return self.do(cmd.Retry(at=self.now, path=path))

    def skip(self, path: str, by: str = "", reason: str = "") -> Turn:
        """Go on without a task."""
        return self.do(cmd.Skip(at=self.now, path=path, by=by, reason=reason))

    def approve(self, path: str, by: str = "", comment: str = "", data: Json = None) -> Turn:
        """Approve."""
        given = ABSENT if data is None else raw(data)
        return self.do(cmd.Decide(at=self.now, path=path, is_approved=True, by=by, comment=comment, data=given))

    def reject(self, path: str, by: str = "", comment: str = "") -> Turn:
        """Reject."""
        return self.do(cmd.Decide(at=self.now, path=path, is_approved=False, by=by, comment=comment))

    def crash(self) -> Scene:
        """Memory is lost, the history is not."""
        self.state = fold(ID, self.plan, self.history)
        return self

    # ── what can be seen ─────────────────────────────────────────────────────────────────────────────────────────────

    def phase(self, name: str) -> Phase:
        """Where a step is."""
        return Phase(self.state.phase[self.number(name)])

    def phases(self, *names: str) -> list[str]:
        """Where steps are, as words."""
        return [self.phase(name).name.lower() for name in names or self.plan.by_id]

    def status(self, name: str) -> Status:
        """A step's status as people see it."""
        return self.state.status_of(self.number(name))

    def error(self, name: str) -> TaskError:
        """A step's error."""
        error = self.state.live[self.number(name)].error
        assert error is not None
        return error

    @property
    def ended(self) -> tuple[Status | None, Outcome | None]:
        """How the execution ended."""
        return self.state.status_at_end, self.state.outcome

    @property
    def output(self) -> Json:
        """The execution's output."""
        return decode(self.state.output)

    def types(self, events: Iterable[Event] | None = None) -> list[str]:
        """Names of the last command's events."""
        return [type(event).__name__ for event in (self.events if events is None else events)]

    def why(self, path: str) -> str:
        """Why a task is where it is."""
        return why(self.state, path)

    def story(self, path: str) -> list[str]:
        """A task's story."""
        return [line.text for line in story(self.state, self.history, path)]


def restore_again(state: Execution) -> bytes:
    """What a snapshot of what a snapshot gave says."""
    return dump(restore(ID, state.plan, dump(state)))

"""One running attempt, as the node holds it and as an executor sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

from taskengine.kernel.state import Execution
from taskengine.model.command import AttemptEnd, Failed, Succeeded
from taskengine.model.plain import written
from taskengine.model.secret import resolve
from taskengine.model.value import ABSENT, Json, Raw, decode, raw
from taskengine.model.workflow import ITERATED, Step
from taskengine.ports.executor import Stop
from taskengine.ports.store import LogLine
from taskengine.runtime.environment import Environment
from taskengine.runtime.logs import LogBook
from taskengine.runtime.resident import Resident
from taskengine.runtime.settings import NodeSettings

if TYPE_CHECKING:
    from taskengine.runtime.liveness import Signs
    from taskengine.runtime.redaction import Redactor

__all__ = ["Hearer", "RunningAttempt"]

_EMPTY: Final = Raw(b"{}")


class Hearer(Protocol):
    """Who hears what an attempt tells: the node."""

    book: LogBook
    environment: Environment
    settings: NodeSettings

    def ended(self, attempt: RunningAttempt, end: AttemptEnd) -> None:
        """It has ended."""
        ...

    def freed(self, attempt: RunningAttempt) -> None:
        """Its work has stopped."""
        ...

    def progressed(self, attempt: RunningAttempt, progress: Raw) -> None:
        """It is alive, and how far it has come."""
        ...

    def silent(self, attempt: RunningAttempt) -> None:
        """Nothing was heard of it for too long."""
        ...


class RunningAttempt:
    """Begins at its launch, ends once, frees its slot once."""

    __slots__ = (
        "_hearer",
        "_is_free",
        "_redactor",
        "_signs",
        "_state",
        "_stop",
        "input",
        "is_ended",
        "is_stopping",
        "is_suspect",
        "lines",
        "number",
        "resident",
        "step",
        "task",
    )

    def __init__(self, resident: Resident, *, task: int, number: int, is_suspect: bool, hearer: Hearer) -> None:
        self.resident = resident
        self.task = task
        self.number = number
        self.is_suspect = is_suspect
        self.is_ended = False
        self.is_stopping = False
        self.lines = 0  # of its log
        self._hearer = hearer
        self._is_free = False
        self._state: Execution = resident.state
        self._stop: Stop | None = None
        self._redactor: Redactor | None = None
        self._signs: Signs | None = None
        live = resident.state.live.get(task)
        given = live.input if live is not None else ABSENT
        planned = resident.state.steps[task]
        self.step: Step = planned.step  # what is performed
        self.input: Raw = given or planned.constant_input or _EMPTY
        if self.step.heartbeat_ms is not None:
            self._listen()

    @property
    def execution_id(self) -> str:
        """The execution, which is also the trace."""
        return self.resident.execution_id

    @property
    def source(self) -> str:
        """Where the workflow's document came from."""
        return self.resident.source

    @property
    def path(self) -> str:
        """The task's path in the execution."""
        return self._state.path_of(self.task)

    @property
    def idempotency_key(self) -> str:
        """The task's, for whatever must not happen twice."""
        return self._state.key_of(self.task)

    def upstream(self, step_id: str) -> Raw | None:
        """The output of a dependency, by its id, or by its name where that is no id; else ``item`` or ``index`` of an iteration."""
        scope = self._state.scopes[self.task]
        block = scope.block
        dependencies = self._state.steps[self.task].dependencies
        number = block.by_id.get(step_id)
        if number is None:
            number = next((one for one in dependencies if step_id and block.steps[one].step.name == step_id), None)
        if number is None or number not in dependencies:
            return self._iterated(step_id)
        return self._state.outputs.get(scope.base + number, Raw(b"null"))

    def _iterated(self, name: str) -> Raw | None:
        around = self._state.scopes[self.task].iteration if name in ITERATED else None
        if around is None:
            return None
        return raw(around.index) if name == "index" else around.item or None

    # Secrets

    def unseal(self, values: Mapping[str, str]) -> None:
        """Put secrets into the input; from now on they are taken out of everything that the attempt tells."""
        self.input = resolve(self.input, values)
        for value in values.values():
            self.redact(value)

    def redact(self, text: str) -> None:
        """One more text to take out."""
        if self._redactor is None:
            from taskengine.runtime.redaction import Redactor  # noqa: PLC0415 -- most attempts hold no secret

            self._redactor = Redactor()
        self._redactor.add(text)

    # Signs of life

    @property
    def last_progress(self) -> Json:
        """What was reported last."""
        live = self._state.live.get(self.task)
        progress = decode(live.progress) if live is not None and live.progress else None
        return progress.get("data") if isinstance(progress, dict) else None

    def heard(self) -> None:
        """It is not silent. Headway is something else: a task that kills its process may say a lot before it does."""
        if self._signs is not None and not self.is_ended:
            self._signs.heard()

    def beat(self) -> None:
        """It says that it is alive; written down only when that forgives losses."""
        if self.is_ended:
            return
        self.heard()
        live = self._state.live.get(self.task)
        if live is not None and live.losses:
            self._hearer.progressed(self, ABSENT)

    def progress(self, fraction: float | None, *, message: str = "", data: Json = None) -> None:
        """It is alive, and how far it has come."""
        if fraction is not None and not 0 <= fraction <= 1:
            raise ValueError(f"progress is between 0 and 1, not {fraction}")
        told = {"fraction": fraction, "message": message[: self._hearer.settings.log_line], "data": data}
        document = Raw(written({key: value for key, value in told.items() if value not in (None, "")}))
        if len(document) > self._hearer.settings.max_progress:
            raise ValueError(f"progress has {len(document)} bytes, {self._hearer.settings.max_progress} are allowed")
        if not self.is_ended:
            self._listen().progress(self._redactor.document(document) if self._redactor is not None else document)

    def tell_rest(self) -> None:
        """What it has said of its progress and is not written down yet."""
        if self._signs is not None and not self.is_ended:
            self._signs.write_last()

    def _listen(self) -> Signs:
        if self._signs is None:
            from taskengine.runtime.liveness import Signs  # noqa: PLC0415 -- most attempts only end

            self._signs = Signs(
                heartbeat_ms=self.step.heartbeat_ms,
                interval_ms=self._hearer.settings.progress_interval_ms,
                silent=lambda: self._hearer.silent(self),
                report=lambda progress: self._hearer.progressed(self, progress),
            )
        return self._signs

    # Logs

    def log(self, message: str, *, level: str = "info", source: str = "engine") -> None:
        """A line of its log, cut and counted."""
        settings = self._hearer.settings
        self.lines += 1
        if self.lines > settings.log_lines:
            if self.lines > settings.log_lines + 1:
                return
            level, source, message = "warning", "engine", f"the log ends here: an attempt has at most {settings.log_lines} lines"
        elif self._redactor is not None:
            message, source = self._redactor.text(message), self._redactor.text(source)  # a logger may be named by anything
        if len(message) > settings.log_line:
            message = f"{message[: settings.log_line]} … ({len(message)} characters)"
        at = self._hearer.environment.now()
        self._hearer.book.add(LogLine(self.execution_id, self.task, self.number, at, level, source, message))

    # The end

    def on_stop(self, stop: Stop) -> None:
        """Keep it; call it at once when a stop was asked for before."""
        self._stop = stop
        if self.is_stopping:
            stop()

    def stop(self) -> None:
        """Ask the work to stop."""
        if not self.is_stopping:
            self.is_stopping = True
            if self._stop is not None:
                self._stop()

    def forget(self) -> None:
        """Whatever it still reports is of no interest."""
        self.is_ended = True
        if self._signs is not None:
            self._signs.close()

    def end(self, end: AttemptEnd) -> None:
        """The first report counts; a later one is dropped, and the log says so."""
        if self.is_ended:
            if isinstance(end, Succeeded | Failed):
                what = "succeeded" if isinstance(end, Succeeded) else f"failed: {end.error.type} {end.error.message}".rstrip()
                self.log(f"came too late and was dropped: attempt {self.number} {what}", level="warning")
            return
        if self._signs is not None:
            self._signs.write_last()  # a turn of its own, in the same commit
            self._signs.close()
        self.is_ended = True
        self._hearer.ended(self, end if self._redactor is None else self._redactor.end(end))

    def free(self) -> None:
        """The slot is free."""
        if not self._is_free:
            self._is_free = True
            self._stop = None  # it refers to this attempt: nothing is left for the garbage collector
            self._hearer.freed(self)

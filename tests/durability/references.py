"""The reference workflows: small ones that use every step type and every control, with what people do while they run.

``references/`` holds one document each. The functions do the same whenever they are called; what they were called for is counted
by a key that the document gives. A deed is done when nothing goes on by itself any more, so that it always meets the same state;
it bears a mark, so that a client that was not told what came of it may do it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from taskengine import Engine, TaskContext
from taskengine.errors import CommandRefusedError
from taskengine.model import command as cmd
from taskengine.model.value import ABSENT, Raw, encode
from taskengine.ports.store import ExecutionFilter
from taskengine.testing.family import named, settle
from taskengine.testing.history import History, read_history
from taskengine.testing.virtual.engine import VirtualEngine, VirtualExecution

__all__ = ["PARTS", "REFERENCES", "Deed", "Reference", "Work", "document", "histories_of", "perform"]

FOLDER: Final = Path(__file__).parent / "references"
PARTS: Final = tuple(sorted((FOLDER / "parts").glob("*.yaml")))
PARAMS: Final = {"n": 2}
_MOST: Final = 1_000  # executions of one store


class Deed(msgspec.Struct, frozen=True):
    """What a person does. ``of``: the execution's name after the workflow's own, empty for the explored one."""

    what: str
    path: str = "/"
    of: str = ""
    data: Any = None


class Reference(msgspec.Struct, frozen=True):
    """How an undisturbed run ends, and what people do meanwhile."""

    status: str = "completed"
    deeds: tuple[Deed, ...] = ()


class Work:
    """The world outside: what was done, by key, and what a person has mended."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.mended: set[str] = set()

    def reset(self) -> None:
        """As if nothing had ever happened."""
        self.done.clear()
        self.mended.clear()

    def do(self, ctx: TaskContext, what: Any, gives: Any = None, *, fails: int = 0, until: str = "") -> Any:
        """Note it; fail in the first ``fails`` attempts, or until something is mended."""
        self.done[str(what)] += 1
        if ctx.attempt <= fails or (until and until not in self.mended):
            raise ValueError(f"{what} does not work")
        return what if gives is None else gives

    def act(self, deeds: tuple[Deed, ...]) -> Callable[[VirtualEngine, VirtualExecution], Any]:
        """A client that does these deeds, in virtual time."""

        async def act(engine: VirtualEngine, execution: VirtualExecution) -> None:
            await perform(engine.engine, execution.id, deeds, settle=lambda: settle(engine), mend=self.mended.add)

        return act


async def perform(
    engine: Engine,
    execution_id: str,
    deeds: Sequence[Deed],
    *,
    settle: Callable[[], Awaitable[object]],
    mend: Callable[[str], object],
) -> None:
    """Do these deeds, one each time that nothing goes on by itself any more (``settle``); then it has ended."""
    for number, deed in enumerate(deeds):
        await settle()
        if deed.what == "mend":
            mend(deed.path)
        else:
            await _do(engine, execution_id, deed, mark=f"deed-{number}")
    await settle()
    row = await engine.get_instance(execution_id)
    assert row.finished_at is not None, f"it stands still: {(await read_history(engine.store, execution_id)).story()}"


async def histories_of(engine: Engine) -> dict[str, History]:
    """All executions of the store, by names that are the same in every run."""
    rows = await engine.store.executions(ExecutionFilter(), limit=_MOST)
    return named([await read_history(engine.store, row.execution_id) for row in reversed(rows)])


async def _do(engine: Engine, root_id: str, deed: Deed, *, mark: str) -> None:
    root = await read_history(engine.store, root_id)
    execution_id = (await histories_of(engine))[root.workflow.name + deed.of].execution_id
    operations = engine._started.operations  # noqa: SLF001 -- the commands that have no method of the engine's yet
    try:
        await operations.command(execution_id, lambda at: COMMANDS[deed.what](at, deed), mark=mark)
    except CommandRefusedError as error:
        if await engine.store.answer_of(f"command:{execution_id}:{mark}") is None:
            raise AssertionError(f"{deed} was refused: {error}") from error


def _payload(data: Any) -> Raw:
    return ABSENT if data is None else Raw(encode(data))


COMMANDS: Final[Mapping[str, Callable[[int, Deed], cmd.Command]]] = {
    "signal": lambda at, deed: cmd.Signal(at=at, name=deed.path, data=_payload(deed.data)),
    "pause": lambda at, deed: cmd.Pause(at=at, path=deed.path),
    "resume": lambda at, deed: cmd.Resume(at=at, path=deed.path),
    "cancel": lambda at, deed: cmd.Cancel(at=at, path=deed.path, compensates=bool(deed.data)),
    "terminate": lambda at, deed: cmd.Terminate(at=at, path=deed.path),
    "retry": lambda at, deed: cmd.Retry(at=at, path=deed.path),
    "skip": lambda at, deed: cmd.Skip(at=at, path=deed.path),
    "approve": lambda at, deed: cmd.Decide(at=at, path=deed.path, is_approved=True, by="ann", comment=deed.data),
    "reject": lambda at, deed: cmd.Decide(at=at, path=deed.path, is_approved=False, by="ann", comment=deed.data),
}

_SCRIPTS: Final[Mapping[str, Reference]] = {
    "parallel_percent_fails": Reference("failed"),
    "fail_step": Reference("failed"),
    "wait_signal": Reference(deeds=(Deed("signal", "paid", data={"order": 1}), Deed("signal", "paid", data={"order": 2}))),
    "approval_approved": Reference(deeds=(Deed("approve", "/ok/", data="fine"),)),
    "approval_rejected": Reference(deeds=(Deed("reject", "/ok/", data="too dear"),)),
    "signal_between": Reference(),
    "saga_chain": Reference("failed"),
    "saga_diamond": Reference("failed"),
    "saga_in_map": Reference("failed"),
    "saga_in_loop": Reference("failed"),
    "saga_retried": Reference("failed"),
    "saga_with_sub": Reference("failed"),
    "saga_mended": Reference("failed", (Deed("mend", "bank"), Deed("retry"))),
    "saga_cancelled": Reference("cancelled", (Deed("cancel", data=True),)),
    "saga_timeout": Reference("failed"),
    "pause_middle": Reference(
        deeds=(
            Deed("pause", "/both/left/"),
            Deed("signal", "go"),
            Deed("pause", "/both/left/b/"),
            Deed("resume", "/both/left/"),
            Deed("resume", "/both/left/b/"),
        )
    ),
    "cancel_middle": Reference(deeds=(Deed("cancel", "/both/left/"),)),
    "retry_by_person": Reference(deeds=(Deed("mend", "bank"), Deed("retry"))),
    "skip_by_person": Reference(deeds=(Deed("skip", "/w/"),)),
    "pause_family": Reference(
        deeds=(
            Deed("pause"),
            Deed("signal", "go", of="/each/[0]/sub", data=1),
            Deed("signal", "go", of="/each/[1]/sub", data=2),
            Deed("resume"),
        )
    ),
    "cancel_family": Reference(deeds=(Deed("cancel", "/both/left/"),)),
}
REFERENCES: Final[Mapping[str, Reference]] = {
    path.stem: _SCRIPTS.get(path.stem, Reference()) for path in sorted(FOLDER.glob("*.yaml"))
}


def document(name: str) -> Path:
    """Where a reference workflow stands."""
    return FOLDER / f"{name}.yaml"

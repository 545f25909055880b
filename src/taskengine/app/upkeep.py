"""Upkeep of the database that a path names, and a look at the place it lies in. Changes nothing but what ``prune`` takes away."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from taskengine.adapters.lanes import ThreadLane
from taskengine.adapters.sqlite import upkeep
from taskengine.adapters.sqlite.files import file_system_of, free_bytes, refuse_network
from taskengine.adapters.sqlite.locks import NodeLocks
from taskengine.adapters.sqlite.upkeep import copy_to
from taskengine.app.inspect import Inspector, inspecting
from taskengine.define.phrase import numbered
from taskengine.errors import StorageError, TaskEngineError
from taskengine.kernel.invariant import broken
from taskengine.ports.store import ExecutionFilter, Store, Stored, Summary
from taskengine.runtime.environment import Environment
from taskengine.runtime.residency import restore_execution

__all__ = ["Checkup", "Finding", "check", "copy_to", "look_around", "prune"]

Level: TypeAlias = Literal["ok", "warn", "fail"]

_MIB: Final = 1024 * 1024
_ROOM: Final = 64 * _MIB  # below it the disk is nearly full
_LEAST_ROOM: Final = 4 * _MIB
_LOG: Final = 256 * _MIB  # above it somebody keeps an old state open
_AHEAD_MS: Final = 60_000
_SQLITE: Final = (3, 38, 0)  # RETURNING, and the JSON functions built in
_PAGE: Final = 500


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    level: Level
    what: str
    hint: str = ""


class Checkup(msgspec.Struct, frozen=True, kw_only=True):
    """What a check of every execution found."""

    executions: int
    events: int
    problems: list[str]


async def check(path: Path, *, is_quick: bool) -> Checkup:
    """Whether the file is whole, and unless quick whether each history folds to what its row says and breaks no rule."""
    problems = [f"file: {line}" for line in upkeep.damage(path)]
    if problems or is_quick:
        return Checkup(executions=0, events=0, problems=problems)
    executions = events = 0
    async with inspecting(path) as inspector:
        before = ""
        while page := await inspector.store.executions(ExecutionFilter(), limit=_PAGE, before=before):
            for summary in page:
                executions += 1
                events += summary.seq
                problems += [f"{summary.execution_id}: {one}" for one in await _wrong(inspector, summary)]
            before = page[-1].execution_id
    return Checkup(executions=executions, events=events, problems=problems)


async def _wrong(inspector: Inspector, summary: Summary) -> list[str]:
    """What is wrong with one execution: its whole history is folded anew, and held against its row."""
    try:
        bodies = await inspector.bodies(summary.execution_id)
        state = restore_execution(Stored(summary, 0, None, bodies), await inspector.plan(summary))
    except TaskEngineError as error:
        return [error.message]
    if state.seq > summary.seq:
        return []  # it went on between the two reads
    found = [f"the row has {summary.seq} events, the history {state.seq}"] if state.seq != summary.seq else []
    if state.status.value != summary.status:
        found.append(f"the row says {summary.status}, the history {state.status.value}")
    return found + list(broken(state))


def prune(path: Path, *, older_than_ms: int, is_dry: bool) -> int:
    """Forget executions that ended longer ago than this, or only count them; how many."""
    before = Environment(ThreadLane).now() - older_than_ms
    return upkeep.count_prunable(path, before=before) if is_dry else upkeep.prune(path, before=before)


async def look_around(path: Path) -> list[Finding]:
    """What a database needs of its place, each thing looked at. Makes no database and no folder."""
    version = sys.version_info
    found = [
        Finding(name="python", level="ok", what=f"{version.major}.{version.minor}.{version.micro}"),
        _sqlite(),
        *_place(path),
    ]
    beside = _files(path)
    if not beside:
        hint = "task-engine run FILE makes it; --db or TASK_ENGINE_DB names another one"
        return [*found, Finding(name="database", level="warn", what=f"there is none at {path} yet", hint=hint)]
    found += beside
    try:
        mode = upkeep.journal_mode(path)
        async with inspecting(path) as inspector:
            found.append(await _database(path, inspector.store, mode=mode))
            found += await _nodes(path, inspector)
            found.append(await _clock(inspector))
    except StorageError as error:
        found.append(Finding(name="database", level="fail", what=error.message, hint=error.hint))
    return found


def _sqlite() -> Finding:
    if sqlite3.sqlite_version_info < _SQLITE:
        needed = ".".join(str(part) for part in _SQLITE)
        return Finding(name="sqlite", level="fail", what=sqlite3.sqlite_version, hint=f"a Python with SQLite {needed} or newer")
    return Finding(name="sqlite", level="ok", what=sqlite3.sqlite_version)


def _place(path: Path) -> list[Finding]:
    """The folder: what it lies on, how much room it has, whether one may write there."""
    folder = next((one for one in path.absolute().parents if one.exists()), Path("/"))
    kind = file_system_of(folder)
    try:
        refuse_network(path, kind)
        found = [Finding(name="file system", level="ok", what=kind or "unknown to this system")]
    except StorageError as error:
        found = [Finding(name="file system", level="fail", what=error.message, hint=error.hint)]
    room = free_bytes(folder)
    level: Level = "ok" if room >= _ROOM else "warn" if room >= _LEAST_ROOM else "fail"
    hint = "" if level == "ok" else "make room; task-engine db prune forgets what ended long ago"
    found.append(Finding(name="disk", level=level, what=f"{_sized(room)} free", hint=hint))
    if not os.access(folder, os.W_OK):
        found.append(
            Finding(name="folder", level="fail", what=f"this user may not write in {folder}", hint="name another: --db FILE")
        )
    return found


def _files(path: Path) -> list[Finding]:
    """What lies beside the database; nothing when there is none."""
    if not path.exists():
        return []
    log = path.with_name(f"{path.name}-wal")
    size = log.stat().st_size if log.exists() else 0
    hint = "" if size <= _LOG else "some process keeps an old state open, or died in the middle; the next start copies it back"
    ballast = path.with_name(f"{path.name}-ballast").exists()
    return [
        Finding(name="log", level="warn" if hint else "ok", what=_sized(size), hint=hint),
        Finding(name="ballast", level="ok", what="room is kept for a full disk")
        if ballast
        else Finding(name="ballast", level="warn", what="no room is kept for a full disk", hint="it is made at the next start"),
    ]


async def _database(path: Path, store: Store, *, mode: str) -> Finding:
    total, left = await store.count(ExecutionFilter()), await store.count(ExecutionFilter(is_open=True))
    what = f"{path}, {_sized(_size(path))}, {mode}, {numbered(total, 'execution')}, {left} open"
    if mode != "wal":
        return Finding(name="database", level="warn", what=what, hint="it is set to wal at the next start")
    return Finding(name="database", level="ok", what=what)


def _size(path: Path) -> int:
    return path.stat().st_size


async def _nodes(path: Path, inspector: Inspector) -> list[Finding]:
    """Who is registered, who of them lives, what the dead left behind, and locks that belong to nobody."""
    store = inspector.store
    dead = await store.dead_nodes("")
    living = await store.other_nodes("") - len(dead)
    found = [Finding(name="nodes", level="ok", what=f"{numbered(living, 'living process')}".replace("processs", "processes"))]
    if dead:
        left = await store.count(ExecutionFilter(is_open=True, owners=tuple(dead)))
        what = f"{numbered(len(dead), 'node')} died and left {numbered(left, 'open execution')}"
        hint = "the next engine on this database takes them over; or one at a time: task-engine run --resume ID"
        found.append(Finding(name="orphans", level="warn" if left else "ok", what=what, hint=hint if left else ""))
    locks = NodeLocks(path)
    stray = [node for node in locks.nodes() if locks.is_dead(node) and node not in dead]
    if stray:
        what = f"{numbered(len(stray), 'lock file')} of nodes that nobody knows any more"
        found.append(Finding(name="locks", level="warn", what=what, hint=f"may be removed: {path.name}-node-*.lock of no process"))
    else:
        found.append(Finding(name="locks", level="ok", what="every lock file belongs to a known node"))
    return found


async def _clock(inspector: Inspector) -> Finding:
    """The clock against what was written last."""
    newest = await inspector.store.executions(ExecutionFilter(), limit=1)
    ahead = newest[0].updated_at - inspector.now() if newest else 0
    if ahead > _AHEAD_MS:
        what = f"the clock is {ahead // 1_000} s behind what was written last"
        return Finding(name="clock", level="warn", what=what, hint="set it; timers that are due wait until then")
    return Finding(name="clock", level="ok", what="not behind what was written")


def _sized(count: int) -> str:
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":  # noqa: PLR2004 -- the units' own step
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return ""

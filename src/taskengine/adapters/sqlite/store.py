"""The store on SQLite: who does what on which lane. Every promise is the port's; every statement is in ``statements``.

Two lanes, two connections: what writes goes through the writer's, one after the other; what reads goes through the reader's and
never waits for a commit. A read sees what was committed before it began.
"""

# ruff: noqa: D102 -- the port says what each method promises

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from taskengine.adapters.sqlite import catalog, inbox, journal, logs, ownership, views
from taskengine.adapters.sqlite import statements as sql
from taskengine.adapters.sqlite.connection import Connect, Connection, SqliteSettings, connect, prepare, transaction
from taskengine.adapters.sqlite.files import Ballast, create, file_system_of, refuse_network, renew_log
from taskengine.adapters.sqlite.locks import NodeLocks
from taskengine.adapters.sqlite.schema import identify, migrate
from taskengine.adapters.sqlite.session import Session
from taskengine.errors import StorageError
from taskengine.model.value import Instant
from taskengine.ports.lane import LaneFactory
from taskengine.ports.store import (
    Append,
    ExecutionFilter,
    Head,
    InboxAnswer,
    LogLine,
    Message,
    Store,
    Stored,
    StoredEvent,
    StoredWorkflow,
    Summary,
    TaskRow,
    Verdict,
)

__all__ = ["SqliteSettings", "SqliteStore"]


class SqliteStore(Store):
    """A ``Store`` in one file. Several of them, in one process or in several, may have the file open.

    ``connect``, ``file_system`` and ``renew_log`` are what the store asks of the world; tests give it others.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        lanes: LaneFactory,
        settings: SqliteSettings | None = None,
        connect: Connect = connect,
        file_system: Callable[[Path], str] = file_system_of,
        renew_log: Callable[[Path], None] = renew_log,
    ) -> None:
        self._path = Path(path).absolute()
        self._lanes = lanes
        self._settings = settings or SqliteSettings()
        self._connect = connect
        self._file_system = file_system
        self._renew_log = renew_log
        self._ballast = Ballast(self._path, size=self._settings.ballast_bytes)
        self._locks = NodeLocks(self._path)
        self._sessions: tuple[Session, Session] | None = None  # writer, reader
        self._connections = 0  # of the writer so far; a second one means that the first did not survive an error
        self._seen = (0, 0)  # which of them saw what version of the data

    # ── open, close ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        if self._sessions is not None:
            return
        writer = self._session("writer", self._connect_writer)
        try:
            self._seen = await writer.run(self._version)
        except BaseException:
            await writer.close()
            raise
        self._sessions = writer, self._session("reader", self._connect_reader)

    async def close(self) -> None:
        sessions, self._sessions = self._sessions, None
        if sessions is None:
            return
        writer, reader = sessions
        # The reader first: whoever goes last copies the log into the database.
        await reader.close()
        await writer.close()
        self._locks.close()

    def _session(self, name: str, connect: Callable[[], Connection]) -> Session:
        return Session(
            self._lanes(f"store-{name}"),
            connect,
            busy_timeout_ms=self._settings.busy_timeout_ms,
            on_full=self._ballast.release,
        )

    def _connect_writer(self) -> Connection:
        refuse_network(self._path, self._file_system(self._path.parent))
        create(self._path)
        connection = self._connect(self._path, is_reader=False)
        try:
            identify(connection)  # before anything in a file of somebody else is changed
            prepare(connection, self._settings, is_reader=False)
            # Beside a living node SQLite knows how far the log was synced, unless it was our own sync that failed.
            if self._connections or self._locks.is_alone():
                with transaction(connection):
                    self._renew_log(self._path)
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        self._ballast.reserve()
        self._connections += 1
        return connection

    def _connect_reader(self) -> Connection:
        connection = self._connect(self._path, is_reader=True)
        prepare(connection, self._settings, is_reader=True)
        return connection

    @property
    def _writer(self) -> Session:
        return self._both()[0]

    @property
    def _reader(self) -> Session:
        return self._both()[1]

    def _both(self) -> tuple[Session, Session]:
        if self._sessions is None:
            raise StorageError("store_closed", "the store is not open", hint="call open() first")
        return self._sessions

    # ── journal ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def commit(self, batch: Sequence[Append]) -> list[Verdict]:
        verdicts = await self._writer.run(journal.commit, batch)
        if self._ballast.is_released:
            await self._writer.run(self._restore_ballast)
        return verdicts

    def _restore_ballast(self, _: Connection) -> None:
        self._ballast.restore()

    async def load(self, execution_ids: Sequence[str]) -> list[Stored]:
        return await self._reader.run(journal.load, execution_ids)

    async def heads(self, execution_ids: Sequence[str]) -> dict[str, Head]:
        if not self._writer.is_connected:
            # After a failed sync: whoever asks what became of the commit will build on the answer, so the log is renewed first.
            await self._writer.run(self._version)
        return await self._reader.run(journal.heads, execution_ids)

    async def answer_of(self, mark: str) -> bytes | None:
        return await self._reader.run(journal.answer_of, mark)

    # ── ownership ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def join(self, node_id: str, *, now: Instant) -> None:
        await self._writer.run(ownership.join, self._locks, node_id=node_id, now=now)

    async def leave(self, node_id: str, *, now: Instant) -> None:
        await self._writer.run(ownership.leave, self._locks, node_id=node_id, now=now)

    async def dead_nodes(self, node_id: str) -> list[str]:
        return await self._writer.run(ownership.dead_nodes, self._locks, node_id=node_id)

    async def seize(self, dead_node: str, *, by: str, limit: int) -> list[str]:
        return await self._writer.run(ownership.seize, self._locks, dead_node=dead_node, by=by, limit=limit)

    async def release(self, execution_ids: Sequence[str], *, by: str, now: Instant) -> None:
        await self._writer.run(ownership.release, execution_ids, by=by, now=now)

    async def due(self, *, now: Instant, limit: int) -> tuple[list[str], Instant | None]:
        return await self._reader.run(ownership.due, now=now, limit=limit)

    async def other_nodes(self, node_id: str) -> int:
        return await self._reader.run(ownership.other_nodes, node_id)

    async def changed(self) -> bool:
        # On the writer's connection, whose own commits do not count.
        now = await self._writer.run(self._version)
        before, self._seen = self._seen, now
        return now != before

    def _version(self, connection: Connection) -> tuple[int, int]:
        """Numbers of two connections say nothing about each other."""
        return self._connections, connection.read(sql.DATA_VERSION)[0][0]

    # ── inbox ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def send(self, execution_id: str, body: bytes, *, now: Instant) -> int:
        return await self._writer.run(inbox.send, execution_id, body=body, now=now)

    async def pending(self, node_id: str, *, after: int, limit: int) -> list[Message]:
        return await self._reader.run(inbox.pending, node_id, after=after, limit=limit)

    async def reply(self, answers: Sequence[InboxAnswer]) -> None:
        await self._writer.run(inbox.reply, answers)

    async def answer(self, message_id: int) -> bytes | None:
        return await self._reader.run(inbox.answer, message_id)

    # ── catalog ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def put_workflow(self, workflow: StoredWorkflow) -> StoredWorkflow:
        return await self._writer.run(catalog.put_workflow, workflow)

    async def workflow(self, workflow_id: str, version: str) -> StoredWorkflow | None:
        return await self._reader.run(catalog.workflow, workflow_id, version=version)

    async def workflows(self, *, limit: int) -> list[StoredWorkflow]:
        return await self._reader.run(catalog.workflows, limit=limit)

    async def versions(self, workflow_id: str) -> list[StoredWorkflow]:
        return await self._reader.run(catalog.versions, workflow_id)

    # ── views ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def executions(self, wanted: ExecutionFilter, *, limit: int, before: str = "") -> list[Summary]:
        return await self._reader.run(views.executions, wanted, limit=limit, before=before)

    async def count(self, wanted: ExecutionFilter) -> int:
        return await self._reader.run(views.count, wanted)

    async def events(self, execution_id: str, *, after: int, limit: int) -> list[StoredEvent]:
        return await self._reader.run(views.events, execution_id, after=after, limit=limit)

    async def tasks(self, execution_id: str) -> list[TaskRow]:
        return await self._reader.run(views.tasks, execution_id)

    # ── logs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def write_logs(self, lines: Sequence[LogLine]) -> None:
        await self._writer.run(logs.write_logs, lines)

    async def logs(self, execution_id: str, *, task: int | None, after: int, limit: int) -> list[LogLine]:
        return await self._reader.run(logs.logs, execution_id, task=task, after=after, limit=limit)

    # ── for measurements ─────────────────────────────────────────────────────────────────────────────────────────────

    async def durability(self) -> tuple[str, str]:
        """``journal_mode`` and ``synchronous`` as the writer's connection answers them now, e.g. ``("wal", "full")``."""
        return await self._writer.run(_durability)

    async def row_counts(self) -> dict[str, int]:
        """How many rows each of the journal's tables holds. Reads them all: not for a busy store."""
        return await self._reader.run(_row_counts)


def _durability(connection: Connection) -> tuple[str, str]:
    levels = ("off", "normal", "full", "extra")
    return str(connection.read(sql.JOURNAL_MODE)[0][0]), levels[int(connection.read(sql.SYNCHRONOUS)[0][0])]


def _row_counts(connection: Connection) -> dict[str, int]:
    return {table: connection.read(text)[0][0] for table, text in sql.COUNT_ROWS.items()}

"""The memory store: the contract of ``ports.store`` in the plainest words, and therefore the oracle for every other store.

It keeps everything in dictionaries and forgets it with the process. A ``MemoryDatabase`` stands for the file on disk: several
``MemoryStore`` share one as several processes share a file, and ``close`` without ``leave`` is what a killed process looks like.
Nothing here awaits, so each call is one transaction as long as all stores of a database live in one event loop.
"""

# ruff: noqa: D102 -- the port says what each method promises

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from taskengine.adapters.labels import latest, next_label, rank
from taskengine.errors import ConflictError, StorageError
from taskengine.model.value import Instant
from taskengine.ports.store import (
    Append,
    ExecutionFilter,
    Head,
    InboxAnswer,
    LogLine,
    Mark,
    Message,
    Store,
    Stored,
    StoredEvent,
    StoredWorkflow,
    Summary,
    TaskRow,
    Verdict,
)

__all__ = ["MemoryDatabase", "MemoryStore"]


@dataclass(kw_only=True)
class Letter:
    """A message in the inbox and, once there is one, its answer."""

    message: Message
    answer: bytes | None = None


@dataclass(kw_only=True)
class Stream:
    """Everything about one execution. ``snapshot`` is of the state after ``snapshot_seq`` events."""

    summary: Summary
    events: list[bytes] = field(default_factory=list[bytes])
    tasks: list[TaskRow] = field(default_factory=list[TaskRow])
    snapshot: bytes | None = None
    snapshot_seq: int = 0


@dataclass(kw_only=True)
class MemoryDatabase:
    """What several stores share. ``locked`` are the nodes that live; ``writes`` counts the transactions that changed something."""

    streams: dict[str, Stream] = field(default_factory=dict[str, Stream])
    marks: dict[str, bytes] = field(default_factory=dict[str, bytes])
    letters: dict[int, Letter] = field(default_factory=dict[int, Letter])
    workflows: dict[str, dict[str, StoredWorkflow]] = field(default_factory=dict[str, dict[str, StoredWorkflow]])
    nodes: set[str] = field(default_factory=set[str])
    locked: set[str] = field(default_factory=set[str])
    logs: list[LogLine] = field(default_factory=list[LogLine])
    writes: int = 0


class MemoryStore(Store):
    """A ``Store`` in memory. Not durable: for tests, simulations and work that may be lost."""

    def __init__(self, database: MemoryDatabase | None = None) -> None:
        self._database = database if database is not None else MemoryDatabase()
        self._is_open = False
        self._locks: set[str] = set()
        self._own_writes = 0
        self._seen_writes = 0  # of others

    # ── open, close ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        self._is_open = True
        self._seen_writes = self._database.writes - self._own_writes

    async def close(self) -> None:
        self._is_open = False
        self._database.locked -= self._locks
        self._locks.clear()

    def _read(self) -> MemoryDatabase:
        if not self._is_open:
            raise StorageError("store_closed", "the store is not open", hint="call open() first")
        return self._database

    def _write(self) -> MemoryDatabase:
        """For a transaction that changes something: what this store wrote itself is no news to it."""
        database = self._read()
        database.writes += 1
        self._own_writes += 1
        return database

    # ── journal ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def commit(self, batch: Sequence[Append]) -> list[Verdict]:
        verdicts = [self._commit_one(append) for append in batch]
        for append, verdict in zip(batch, verdicts, strict=True):
            if verdict is Verdict.COMMITTED:
                for message in append.messages:
                    self._leave(message.execution_id, message.body)
        return verdicts

    def _commit_one(self, append: Append) -> Verdict:
        database = self._read()
        summary = append.summary
        assert summary.seq == append.expected_seq + len(append.events)
        stream = database.streams.get(summary.execution_id)
        if not _is_expected(stream, append) or (append.answers and not self._are_pending(append.answers)):
            return Verdict.CONFLICT
        if append.marks and not self._are_new(append.marks):
            return Verdict.DUPLICATE
        database = self._write()
        if stream is None:
            stream = database.streams[summary.execution_id] = Stream(summary=summary)
        stream.summary = summary
        stream.events += append.events
        stream.tasks += append.tasks
        if append.snapshot is not None:
            stream.snapshot, stream.snapshot_seq = append.snapshot, summary.seq
        for mark in append.marks:
            database.marks[mark.key] = mark.answer
        for answer in append.answers:
            database.letters[answer.message_id].answer = answer.answer
        return Verdict.COMMITTED

    def _are_new(self, marks: Sequence[Mark]) -> bool:
        keys = {mark.key for mark in marks}
        return len(keys) == len(marks) and keys.isdisjoint(self._database.marks)

    def _are_pending(self, answers: Sequence[InboxAnswer]) -> bool:
        letters = [self._database.letters.get(answer.message_id) for answer in answers]
        return len({answer.message_id for answer in answers}) == len(answers) and all(
            letter is not None and letter.answer is None for letter in letters
        )

    async def load(self, execution_ids: Sequence[str]) -> list[Stored]:
        streams = self._read().streams
        return [
            Stored(
                summary=stream.summary,
                snapshot_seq=stream.snapshot_seq,
                snapshot=stream.snapshot,
                events=stream.events[stream.snapshot_seq :],
            )
            for stream in (streams[wanted] for wanted in dict.fromkeys(execution_ids) if wanted in streams)
        ]

    async def heads(self, execution_ids: Sequence[str]) -> dict[str, Head]:
        streams = self._read().streams
        return {
            wanted: Head(
                seq=streams[wanted].summary.seq,
                token=streams[wanted].summary.token,
                owner=streams[wanted].summary.owner,
                last_event=streams[wanted].events[-1] if streams[wanted].events else b"",
            )
            for wanted in execution_ids
            if wanted in streams
        }

    async def answer_of(self, mark: str) -> bytes | None:
        return self._read().marks.get(mark)

    # ── ownership ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def join(self, node_id: str, *, now: Instant) -> None:
        database = self._read()
        if node_id in self._locks and node_id in database.nodes:
            return
        if node_id in database.locked:
            raise StorageError("node_exists", f"node {node_id} is alive elsewhere", hint="join with a new node id")
        self._write()
        self._locks.add(node_id)
        database.locked.add(node_id)
        database.nodes.add(node_id)

    async def leave(self, node_id: str, *, now: Instant) -> None:
        database = self._read()
        if node_id not in self._locks:
            return
        self._write()
        for stream in self._owned_by(node_id):
            stream.summary = msgspec.structs.replace(stream.summary, owner="", wake_at=now)
        self._locks.discard(node_id)
        database.locked.discard(node_id)
        database.nodes.discard(node_id)

    async def dead_nodes(self, node_id: str) -> list[str]:
        database = self._read()
        return sorted(database.nodes - database.locked - {node_id})

    async def seize(self, dead_node: str, *, by: str, limit: int) -> list[str]:
        database = self._read()
        if dead_node in database.locked or dead_node not in database.nodes:
            return []
        owned = self._owned_by(dead_node)
        seized = owned[:limit]
        for stream in seized:
            stream.summary = msgspec.structs.replace(stream.summary, owner=by, token=stream.summary.token + 1)
        if len(seized) == len(owned):
            database.nodes.discard(dead_node)
        if seized or dead_node not in database.nodes:
            self._write()
        return [stream.summary.execution_id for stream in seized]

    async def release(self, execution_ids: Sequence[str], *, by: str, now: Instant) -> None:
        self._read()
        for stream in self._owned_by(by):
            if stream.summary.execution_id in execution_ids:
                self._write()
                stream.summary = msgspec.structs.replace(stream.summary, owner="", wake_at=now)

    def _owned_by(self, node_id: str) -> list[Stream]:
        owned = [
            stream
            for stream in self._database.streams.values()
            if stream.summary.owner == node_id and stream.summary.finished_at is None
        ]
        return sorted(owned, key=lambda stream: stream.summary.execution_id)

    async def due(self, *, now: Instant, limit: int) -> tuple[list[str], Instant | None]:
        parked = sorted(
            (stream.summary.wake_at, stream.summary.execution_id)
            for stream in self._read().streams.values()
            if stream.summary.owner == "" and stream.summary.wake_at is not None
        )
        come = [execution_id for wake_at, execution_id in parked if wake_at <= now]
        return come[:limit], next((wake_at for wake_at, _ in parked if wake_at > now), None)

    async def other_nodes(self, node_id: str) -> int:
        return len(self._read().nodes - {node_id})

    async def changed(self) -> bool:
        before, self._seen_writes = self._seen_writes, self._read().writes - self._own_writes
        return self._seen_writes != before

    # ── inbox ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def send(self, execution_id: str, body: bytes, *, now: Instant) -> int:
        self._write()
        return self._leave(execution_id, body)

    def _leave(self, execution_id: str, body: bytes) -> int:
        letters = self._database.letters
        message_id = len(letters) + 1
        letters[message_id] = Letter(message=Message(message_id=message_id, execution_id=execution_id, body=body))
        return message_id

    async def pending(self, node_id: str, *, after: int, limit: int) -> list[Message]:
        database = self._read()

        def owner(execution_id: str) -> str:
            stream = database.streams.get(execution_id)
            return stream.summary.owner if stream else ""

        wanted = (
            letter.message
            for message_id, letter in database.letters.items()
            if message_id > after and letter.answer is None and owner(letter.message.execution_id) in {"", node_id}
        )
        return list(islice(wanted, limit))

    async def reply(self, answers: Sequence[InboxAnswer]) -> None:
        letters = self._read().letters
        for answer in answers:
            letter = letters.get(answer.message_id)
            if letter is not None and letter.answer is None:
                self._write()
                letter.answer = answer.answer

    async def answer(self, message_id: int) -> bytes | None:
        letter = self._read().letters.get(message_id)
        return letter.answer if letter else None

    # ── catalog ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def put_workflow(self, workflow: StoredWorkflow) -> StoredWorkflow:
        versions = self._read().workflows.get(workflow.name, {})
        newest = versions.get(_latest(versions.values()) or "")
        there = versions.get(workflow.version) if workflow.version else newest
        if there is not None and there.document == workflow.document:
            return there
        if there is not None and workflow.version:
            raise ConflictError(
                "version_exists",
                f"workflow {workflow.name!r} has a version {workflow.version!r} with another document",
                hint="give the changed document a new version, or leave the version out",
            )
        stored = msgspec.structs.replace(
            workflow,
            version=workflow.version or next_label(newest.version if newest else None),
            workflow_id=newest.workflow_id if newest else workflow.workflow_id,
        )
        self._write().workflows.setdefault(workflow.name, {})[stored.version] = stored
        return stored

    async def workflow(self, workflow_id: str, version: str) -> StoredWorkflow | None:
        for name, versions in self._read().workflows.items():
            if workflow_id in {name, next(iter(versions.values())).workflow_id}:
                return versions.get(version or _latest(versions.values()) or "")
        return None

    async def workflows(self, *, limit: int) -> list[StoredWorkflow]:
        named = sorted(self._read().workflows.items())[:limit]
        return [versions[_latest(versions.values()) or ""] for _, versions in named]

    async def versions(self, workflow_id: str) -> list[StoredWorkflow]:
        for name, versions in self._read().workflows.items():
            if workflow_id in {name, next(iter(versions.values())).workflow_id}:
                return sorted(versions.values(), key=lambda one: rank(one.version, one.created_at), reverse=True)
        return []

    # ── views ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def executions(self, wanted: ExecutionFilter, *, limit: int, before: str = "") -> list[Summary]:
        found = [found for found in self._matching(wanted) if not before or found.execution_id < before]
        return sorted(found, key=lambda summary: summary.execution_id, reverse=True)[:limit]

    async def count(self, wanted: ExecutionFilter) -> int:
        return len(list(self._matching(wanted)))

    def _matching(self, wanted: ExecutionFilter) -> Iterable[Summary]:
        return (stream.summary for stream in self._read().streams.values() if _matches(stream.summary, wanted))

    async def events(self, execution_id: str, *, after: int, limit: int) -> list[StoredEvent]:
        stream = self._read().streams.get(execution_id)
        bodies = stream.events[after : after + limit] if stream else []
        return [StoredEvent(seq=seq, body=body) for seq, body in enumerate(bodies, start=after + 1)]

    async def tasks(self, execution_id: str) -> list[TaskRow]:
        stream = self._read().streams.get(execution_id)
        return list(stream.tasks) if stream else []

    # ── logs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def write_logs(self, lines: Sequence[LogLine]) -> None:
        kept = self._write().logs
        kept.extend(msgspec.structs.replace(line, log_id=number) for number, line in enumerate(lines, len(kept) + 1))

    async def logs(self, execution_id: str, *, task: int | None, after: int, limit: int) -> list[LogLine]:
        of_it = (line for line in self._read().logs[after:] if line.execution_id == execution_id and task in {None, line.task})
        return list(islice(of_it, limit))


def _is_expected(stream: Stream | None, append: Append) -> bool:
    if stream is None or append.expected_seq == 0:
        return stream is None and append.expected_seq == 0
    return (stream.summary.seq, stream.summary.token) == (append.expected_seq, append.expected_token)


def _latest(versions: Iterable[StoredWorkflow]) -> str | None:
    return latest((version.version, version.created_at) for version in versions)


def _matches(summary: Summary, wanted: ExecutionFilter) -> bool:
    return (
        wanted.workflow_id in {"", summary.workflow_id}
        and (not wanted.statuses or summary.status in wanted.statuses)
        and (wanted.is_root is None or wanted.is_root == (not summary.parent_id))
        and wanted.business_key in {"", summary.business_key}
        and (not wanted.owners or summary.owner in wanted.owners)
        and (wanted.is_open is None or wanted.is_open == (summary.finished_at is None))
        and (summary.execution_id.startswith(wanted.id_part) or summary.execution_id.endswith(wanted.id_part))
    )

-- The first version of the database. Instants are milliseconds since 1970 (UTC); bodies are what the engine encoded.

-- One row an execution: what lists show, and the fence. Clustered by id, which sorts by creation: what runs together lies together.
-- prior_seq and prior_token are what the last append expected; they let the upsert compare without a read and mean nothing afterwards.
CREATE TABLE execution (
    execution_id     TEXT NOT NULL PRIMARY KEY,
    workflow_id      TEXT NOT NULL,
    workflow_version TEXT NOT NULL,
    status           TEXT NOT NULL,
    outcome          TEXT NOT NULL,
    seq              INTEGER NOT NULL,
    token            INTEGER NOT NULL,
    owner            TEXT NOT NULL,
    wake_at          INTEGER,
    priority         INTEGER NOT NULL,
    business_key     TEXT NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    finished_at      INTEGER,
    total            INTEGER NOT NULL,
    completed        INTEGER NOT NULL,
    failed           INTEGER NOT NULL,
    prior_seq        INTEGER NOT NULL,
    prior_token      INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX execution_owned ON execution (owner) WHERE owner <> '' AND finished_at IS NULL;

CREATE INDEX execution_wake ON execution (wake_at) WHERE wake_at IS NOT NULL;

CREATE INDEX execution_workflow ON execution (workflow_id);

-- An append to a stream that does not exist is a conflict, never a birth: only prior_seq 0 may insert.
CREATE TRIGGER execution_birth AFTER INSERT ON execution WHEN NEW.prior_seq <> 0
BEGIN
    SELECT RAISE(ABORT, 'no such execution');
END;

-- The log, in the order of arrival. The unique index is the last line of safety: no number of a stream is given twice.
CREATE TABLE event (
    event_id     INTEGER NOT NULL PRIMARY KEY,
    execution_id TEXT NOT NULL,
    seq          INTEGER NOT NULL,
    body         BLOB NOT NULL
);

CREATE UNIQUE INDEX event_seq ON event (execution_id, seq);

CREATE TABLE task (
    task_row_id  INTEGER NOT NULL PRIMARY KEY,
    execution_id TEXT NOT NULL,
    task         INTEGER NOT NULL,
    path         TEXT NOT NULL,
    status       TEXT NOT NULL,
    outcome      TEXT NOT NULL,
    attempt      INTEGER NOT NULL,
    started_at   INTEGER,
    finished_at  INTEGER NOT NULL,
    seq          INTEGER NOT NULL
);

CREATE INDEX task_execution ON task (execution_id);

CREATE TABLE snapshot (
    snapshot_id  INTEGER NOT NULL PRIMARY KEY,
    execution_id TEXT NOT NULL UNIQUE,
    seq          INTEGER NOT NULL,
    state        BLOB NOT NULL
);

CREATE TABLE mark (
    key        TEXT NOT NULL PRIMARY KEY,
    answer     BLOB NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Numbers are never given twice, not even after the newest message was removed: nodes ask for what is above the last they saw.
CREATE TABLE inbox (
    message_id   INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    execution_id TEXT NOT NULL,
    body         BLOB NOT NULL,
    created_at   INTEGER NOT NULL,
    answer       BLOB
);

CREATE INDEX inbox_pending ON inbox (message_id) WHERE answer IS NULL;

CREATE TABLE workflow (
    name        TEXT NOT NULL,
    version     TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    document    BLOB NOT NULL,
    source      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (name, version)
);

CREATE INDEX workflow_id ON workflow (workflow_id);

CREATE TABLE node (
    node_id   TEXT NOT NULL PRIMARY KEY,
    joined_at INTEGER NOT NULL
) WITHOUT ROWID;

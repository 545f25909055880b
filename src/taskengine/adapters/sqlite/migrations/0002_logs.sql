-- Lines that attempts left, in the order of arrival. Beside the journal: they are never in a transaction with events.
CREATE TABLE log (
    log_id       INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    execution_id TEXT NOT NULL,
    task         INTEGER NOT NULL,
    attempt      INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    level        TEXT NOT NULL,
    source       TEXT NOT NULL,
    message      TEXT NOT NULL
);

CREATE INDEX log_execution ON log (execution_id);

"""The SQLite store: one file, several processes, every acknowledged commit durable."""

from taskengine.adapters.sqlite.store import SqliteSettings, SqliteStore

__all__ = ["SqliteSettings", "SqliteStore"]

"""Opening the database that ``--db`` names: made where something is to be started, required where something is to be looked at."""

from __future__ import annotations

from taskengine.cli.command import PROGRAM, Database
from taskengine.errors import NotFoundError, StorageError

__all__ = ["must_exist", "prepare"]


def must_exist(database: Database) -> str:
    """The path. ``NotFoundError("database_not_found")``: looking must not make an empty one."""
    if not database.path.exists():
        hint = f"{PROGRAM} run FILE makes it; --db or TASK_ENGINE_DB names another one"
        raise NotFoundError("database_not_found", f"there is no database {database.path}", hint=hint)
    return str(database.path)


def prepare(database: Database) -> str:
    """The path, its folder made when it is the default one: for this user alone, and ignored by git."""
    folder = database.path.parent
    if database.is_default and not folder.exists():
        try:
            folder.mkdir(mode=0o700)
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise StorageError(
                "database_not_accessible",
                f"the folder {folder} cannot be made: {error.strerror}",
                hint="name a database elsewhere: --db FILE",
            ) from None
    return str(database.path)

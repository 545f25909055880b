"""Which of the workflows that a document's steps start are not in the database: said before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from taskengine.define import Checked

__all__ = ["with_absent"]


def with_absent(checked: list[Checked], *, database: Path) -> list[Checked]:
    """The same documents, with a warning for each step that starts a workflow which neither they nor the database have.

    A database that does not exist yet is not made.
    """
    from taskengine.define import load_file
    from taskengine.define.called import called

    workflows = [one.workflow for one in checked if one.workflow is not None]
    wanted = frozenset[str]().union(*map(called, workflows)) - {workflow.name for workflow in workflows}
    absent = _absent(wanted, database=database) if wanted else frozenset[str]()
    if not absent:
        return checked
    return [load_file(one.file, absent=absent) if one.workflow is not None else one for one in checked]


def _absent(names: Collection[str], *, database: Path) -> frozenset[str]:
    if not database.is_file():
        return frozenset(names)
    from taskengine.app.engine import Engine
    from taskengine.cli.loop import in_loop
    from taskengine.runtime.settings import NodeSettings

    async def look() -> frozenset[str]:
        async with Engine(str(database), settings=NodeSettings(can_run=False)) as engine:
            return frozenset([name for name in names if not await engine.store.versions(name)])

    return in_loop(look)

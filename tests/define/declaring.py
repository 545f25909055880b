"""Functions that tests declare workflows of: a module that another process can import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskengine import task, workflow

if TYPE_CHECKING:
    from taskengine import TaskContext

__all__ = ["ETL", "Shelf", "doubled", "extract", "load", "transform"]


@task
def extract(source: str, limit: int = 3) -> dict[str, Any]:
    return {"rows": [f"{source}-{number}" for number in range(limit)], "count": limit}


@task(name="Transform data", timeout="2m", retry=3)
async def transform(rows: list[str]) -> list[str]:
    return [row.upper() for row in rows]


@task
def load(ctx: TaskContext, rows: list[str], times: int = 1) -> int:
    return len(rows) * times


def doubled(number: int) -> int:
    return 2 * number


class Shelf:
    @staticmethod
    def counted(rows: list[str]) -> int:
        return len(rows)


@workflow(name="etl", version="1.0", task_timeout="30s")
def ETL(source: str, limit: int = 2) -> dict[str, Any]:  # noqa: N802 -- it is looked for by this name
    """Move rows.

    More about it.
    """
    found = extract(source, limit)
    done = load(transform(found["rows"]), when=found["count"] > 0)
    return {"loaded": done, "from": f"source {source}"}

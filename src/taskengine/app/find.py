"""Which execution a person means: an id, the beginning or end of one, the newest, the newest that failed.

Reads only. Whoever takes ids from people (the command line, later the REST paths) calls it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from taskengine.errors import NotFoundError
from taskengine.model.ids import EXECUTION
from taskengine.model.status import Status
from taskengine.ports.store import ExecutionFilter, Summary, Views

__all__ = ["FAILED", "KEY", "LATEST", "find_execution", "find_open"]

LATEST: Final = "@latest"
FAILED: Final = "@failed"
KEY: Final = "key:"
_SHORTEST: Final = 4  # characters of an id that may stand for it
_CANDIDATES: Final = 5
_WORDS: Final = {  # what people started: an execution that another one started is part of that
    LATEST: ExecutionFilter(is_root=True),
    FAILED: ExecutionFilter(is_root=True, statuses=(Status.FAILED.value,)),
}


async def find_execution(views: Views, word: str) -> Summary:
    """The execution meant by an id, by a part of one, by a word, or by a business key.

    A part is four or more characters of the beginning or the end, with or without ``ex_``. A business key stands behind
    ``key:`` and means the execution that is open, else the newest.

    Raises ``NotFoundError``: ``no_executions``, ``id_too_short``, ``execution_not_found``, or ``ambiguous_id``; the fact
    ``candidates`` names what could have been meant.
    """
    if word in _WORDS:
        newest = await views.executions(_WORDS[word], limit=1)
        if not newest:
            what = "no execution has failed" if word == FAILED else "there are no executions yet"
            raise NotFoundError("no_executions", what, hint="task-engine run FILE starts one" if word == LATEST else "")
        return newest[0]
    if word.startswith(KEY):
        return await _with_key(views, word.removeprefix(KEY))
    part = word.strip().removeprefix(EXECUTION).upper()
    if len(part) < _SHORTEST or not part.isalnum():
        raise NotFoundError(
            "id_too_short" if len(part) < _SHORTEST else "execution_not_found",
            f'"{word}" is no execution\'s id',
            hint=f"give an id, {_SHORTEST} characters or more of its beginning or end, {LATEST}, {FAILED} or {KEY}BUSINESS-KEY",
        )
    found = await _matching(views, part)
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFoundError(
            "ambiguous_id",
            f'"{word}" is part of several ids',
            hint=f"write one of them: {_named(found)}",
            candidates=[one.execution_id for one in found],
        )
    newest = await views.executions(ExecutionFilter(), limit=_CANDIDATES)
    raise NotFoundError(
        "execution_not_found",
        f"there is no execution {word}",
        hint=f"the newest: {_named(newest)}" if newest else "there are no executions in this database",
        candidates=[one.execution_id for one in newest],
    )


async def find_open(views: Views, business_key: str) -> Summary:
    """The only execution with a business key that has not ended.

    Raises ``NotFoundError``: ``execution_not_found``, or ``ambiguous_id`` when there are several (fact ``candidates``).
    """
    wanted = ExecutionFilter(business_key=business_key, is_open=True)
    found = await views.executions(wanted, limit=_CANDIDATES) if business_key else []
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFoundError(
            "ambiguous_id",
            f'several open executions have the business key "{business_key}"',
            hint=f"name one of them: {_named(found)}",
            candidates=[one.execution_id for one in found],
        )
    raise NotFoundError("execution_not_found", f'no open execution has the business key "{business_key}"')


async def _with_key(views: Views, business_key: str) -> Summary:
    try:
        return await find_open(views, business_key)
    except NotFoundError as error:
        ended = await views.executions(ExecutionFilter(business_key=business_key), limit=1) if business_key else []
        if error.name == "ambiguous_id" or not ended:
            raise
        return ended[0]


async def _matching(views: Views, part: str) -> list[Summary]:
    """At most a few; an id that is named in full comes alone."""
    found: dict[str, Summary] = {}
    for id_part in (EXECUTION + part, part):
        for one in await views.executions(ExecutionFilter(id_part=id_part), limit=_CANDIDATES):
            if one.execution_id == EXECUTION + part:
                return [one]
            found[one.execution_id] = one
    return list(found.values())[:_CANDIDATES]


def _named(found: Iterable[Summary]) -> str:
    return ", ".join(one.execution_id for one in found)

"""Performs ``http`` steps: one call, or one for each page, through the outbound client; whatever comes back ends it by name.

It decides nothing about retries but whether another attempt could help (``is_final``) and how long the other side asked to be left
alone. What was made of credentials is told to the attempt before it is used, so that it is taken out of everything kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from taskengine.errors import OutboundError, TaskEngineError
from taskengine.model.command import Abandoned, AttemptEnd, Failed, Succeeded
from taskengine.model.value import Instant, Raw, TaskError, decode, encode, is_deeper
from taskengine.model.workflow import Step
from taskengine.ports.executor import Attempt
from taskengine.ports.outbound import Outbound

if TYPE_CHECKING:
    from taskengine.adapters.http.request import Request

__all__ = ["HttpExecutor", "failure_of"]

_ABANDONED: Final = Abandoned()
# Another attempt would meet the same: the call itself has to change, or the policy.
_FINAL: Final = frozenset(
    {
        "egress_denied",
        "invalid_header",
        "invalid_method",
        "invalid_url",
        "redirect_refused",
        "response_too_large",
        "too_many_redirects",
    }
)
_TIMEOUTS: Final = frozenset({"call_timed_out"})


class HttpExecutor:
    """One for a node. ``now``: the node's clock."""

    def __init__(
        self, outbound: Outbound, *, now: Callable[[], Instant], max_payload: int = 16 * 1024 * 1024, max_nesting: int = 64
    ) -> None:
        self._outbound = outbound
        self._now = now
        self._max_payload = max_payload
        self._max_nesting = max_nesting

    def missing(self, step: Step, source: str) -> str:
        """Nothing: what it needs comes with the engine."""
        return ""

    def begin(self, attempt: Attempt) -> None:
        """Start the call."""
        task = asyncio.get_running_loop().create_task(self._end(attempt))
        task.add_done_callback(partial(_finish, attempt=attempt))
        attempt.on_stop(partial(_stop, task))

    async def _end(self, attempt: Attempt) -> AttemptEnd:
        from taskengine.adapters.http.answer import read_answer, refusal
        from taskengine.adapters.http.pages import all_pages
        from taskengine.adapters.http.request import read_request

        where = "the call"
        try:
            config: Any = decode(attempt.input)
            request = read_request(config, key=attempt.idempotency_key, timeout_ms=attempt.step.timeout_ms)
            for secret in request.secrets:
                attempt.redact(secret)
            where = _where(request)
            judge = partial(refusal, request, condition=attempt.step.config.get("success_when"), where=where, now_ms=self._now())
            if request.pagination is not None:
                pages = await all_pages(self._outbound, request, judge=judge, beat=attempt.heard, max_bytes=self._max_payload)
                return Failed(pages) if isinstance(pages, TaskError) else self._succeeded(pages)
            output = read_answer(await self._outbound.call(request.call, on_bytes=attempt.heard))
            error = judge(output)
            return self._succeeded(output) if error is None else Failed(error)
        except TaskEngineError as error:
            return Failed(failure_of(error, where=where))

    def _succeeded(self, output: dict[str, Any]) -> AttemptEnd:
        try:
            document = encode(output)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            message = f"the answer cannot be written as JSON: {error}"
            return Failed(TaskError(type="InvalidResponse", message=message, bases=("HttpError",)))
        if len(document) > self._max_payload:
            message = f"the answer makes {len(document)} bytes of output, {self._max_payload} are allowed"
            return Failed(TaskError(type="PayloadTooLarge", message=message, bases=("HttpError", "ValidationError"), is_final=True))
        if is_deeper(document, self._max_nesting):
            message = f"the answer is nested deeper than {self._max_nesting} levels"
            return Failed(TaskError(type="PayloadTooDeep", message=message, bases=("HttpError", "ValidationError"), is_final=True))
        return Succeeded(Raw(document))


def failure_of(error: TaskEngineError, *, where: str) -> TaskError:
    """An error of ours as a step's failure: ``egress_denied`` is of the type ``EgressDenied``; all of them are ``HttpError``s."""
    hint = f" ({error.hint})" if error.hint else ""
    if not isinstance(error, OutboundError):
        bases = ("HttpError",) if where != "the call" else ()
        return TaskError(type="ValidationError", message=f"{error.message}{hint}", bases=bases, is_final=True)
    kind = "".join(word.capitalize() for word in error.name.split("_"))
    named: tuple[str, ...] = ("Timeout", "HttpError") if error.name in _TIMEOUTS else ("HttpError",)
    return TaskError(type=kind, message=f"{where}: {error.message}{hint}", bases=named, is_final=error.name in _FINAL)


def _where(request: Request) -> str:
    from taskengine.adapters.http.address import shown

    return f"{request.call.method} {shown(request.call.url)}"


def _stop(task: asyncio.Task[AttemptEnd]) -> None:
    task.cancel()


def _finish(task: asyncio.Task[AttemptEnd], *, attempt: Attempt) -> None:
    """Report the end. Whoever was cancelled has closed its connection by now."""
    end: AttemptEnd = _ABANDONED
    if not task.cancelled():
        error = task.exception()
        end = task.result() if error is None else _bug(error)
    elif not attempt.is_stopping:
        end = Failed(TaskError(type="ConnectionLost", message="the call was cancelled from outside", bases=("HttpError",)))
    attempt.free()
    attempt.end(end)


def _bug(error: BaseException) -> AttemptEnd:
    """Whatever nobody foresaw must not leave an attempt without an end."""
    return Failed(TaskError(type="InternalError", message=f"the call broke down: {type(error).__name__}: {error}"))

"""One ``http`` step in a real engine, and what became of it."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from contextlib import contextmanager
from typing import Any

from taskengine import EgressPolicy, Engine, RetryPolicy, Step, Workflow
from taskengine.adapters.http import LazyOutbound
from taskengine.model.value import TaskError
from taskengine.ports.outbound import Resolver

__all__ = ["OPEN", "bounded", "failed", "one", "perform"]

OPEN = EgressPolicy(allow_loopback=True)
_SECONDS = 5.0  # what takes a tenth of a second on a quiet machine; an import of the library is in it
_MEGABYTES = 50


def one(config: Mapping[str, Any], *, timeout_ms: int | None = None, attempts: int = 1, **more: Any) -> Workflow:
    """A workflow of one call."""
    retry = RetryPolicy(max_attempts=attempts, initial_interval_ms=1, jitter=0)
    step = Step(id="call", type="http", config=dict(config), timeout_ms=timeout_ms, retry=retry, **more)
    return Workflow(name="one", steps=(step,), output="{{ steps.call.output }}")


async def perform(
    config: Mapping[str, Any],
    *,
    policy: EgressPolicy = OPEN,
    resolver: Resolver | None = None,
    params: dict[str, Any] | None = None,
    timeout_ms: int | None = None,
    attempts: int = 1,
) -> Any:
    """The result of one call in an engine of its own."""
    outbound = LazyOutbound(policy, resolver=resolver)
    async with Engine(":memory:", outbound=outbound) as engine:
        execution = await engine.execute_workflow(one(config, timeout_ms=timeout_ms, attempts=attempts), params=params)
        result = await execution.result(timeout=60)
    await outbound.close()
    return result


async def failed(config: Mapping[str, Any], **more: Any) -> TaskError:
    """How the call failed. The error names the step."""
    result = await perform(config, **more)
    assert result.error is not None, result.output
    assert "/call/" in result.error.message
    assert "Traceback" not in result.error.message
    return result.error


@contextmanager
def bounded() -> Any:
    """Whatever happens inside ends soon and leaves memory where it was."""
    began, before = time.perf_counter(), _peak()
    yield
    assert time.perf_counter() - began < _SECONDS
    assert _peak() - before < _MEGABYTES


def _peak() -> float:
    """Megabytes that this process has had at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)

"""A lying server and a client that may call this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from taskengine.adapters.http import LazyOutbound
from taskengine.ports.outbound import EgressPolicy
from tests.http.server import Server, serving


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        yield made


@pytest.fixture
async def outbound() -> AsyncIterator[LazyOutbound]:
    made = LazyOutbound(EgressPolicy(allow_loopback=True))
    yield made
    await made.close()

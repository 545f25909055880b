"""A lying server and a client that may call this machine."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

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


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the host ``secure.example`` that nobody signed."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=secure.example"
    made = subprocess.run(
        [*command.split(), "-addext", "subjectAltName=DNS:secure.example", "-keyout", file, "-out", f"{file}.crt"],
        capture_output=True,
        check=True,
    )
    assert made.returncode == 0
    file.write_bytes(file.read_bytes() + Path(f"{file}.crt").read_bytes())
    return file

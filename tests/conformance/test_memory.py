"""The memory store keeps every promise of the port: it is the oracle for the others."""

from __future__ import annotations

import pytest

from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.testing.conformance import NewStore, StoreConformance


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def new_store(self) -> NewStore:
        database = MemoryDatabase()
        return lambda: MemoryStore(database)

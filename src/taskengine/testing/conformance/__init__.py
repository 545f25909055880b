"""The stores' conformance suite: what the docstrings of ``taskengine.ports.store`` promise, as tests.

A store of your own is held to them by one subclass with one fixture::

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def new_store(self, tmp_path: Path) -> NewStore:
            return lambda: MyStore(tmp_path / "data")

``new_store`` makes store objects on one database, fresh for each test: the second one stands for another process. The tests are
coroutines; pytest-asyncio runs them. ``DifferentialMachine`` does the same random operations on a store and on the memory store.
"""

from taskengine.testing.conformance.catalog import CatalogContract
from taskengine.testing.conformance.differential import DifferentialMachine
from taskengine.testing.conformance.inbox import InboxContract
from taskengine.testing.conformance.journal import JournalContract
from taskengine.testing.conformance.lifecycle import LifecycleContract
from taskengine.testing.conformance.logs import LogsContract
from taskengine.testing.conformance.ownership import OwnershipContract
from taskengine.testing.conformance.racing import RacingContract
from taskengine.testing.conformance.samples import NewStore
from taskengine.testing.conformance.views import ViewsContract

__all__ = ["DifferentialMachine", "NewStore", "StoreConformance"]


class StoreConformance(
    JournalContract,
    RacingContract,
    OwnershipContract,
    InboxContract,
    CatalogContract,
    ViewsContract,
    LogsContract,
    LifecycleContract,
):
    """Every promise of a ``Store``."""

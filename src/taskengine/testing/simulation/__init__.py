"""Deterministic simulation of the whole engine: virtual time, seeded order, faults, several nodes, and an audit of every write.

The engine under test is the real one, stores and their SQL included; what is simulated is the world: the loop (``SimLoop``), the
clock and the lanes (``SimEnvironment``), the database's moods (``FaultyStore``, ``SqliteDisk``), processes that die (``World``).
The same seed gives the same run. What happens in a world is a scenario's to say; the engine's own is in ``tests/simulation``.
"""

from taskengine.testing.simulation.audit import Audit
from taskengine.testing.simulation.chance import Chance
from taskengine.testing.simulation.disk import STATEMENT_FAULTS, Disk, MemoryDisk, SqliteDisk
from taskengine.testing.simulation.environment import Latency, SimEnvironment
from taskengine.testing.simulation.failures import SimulationError
from taskengine.testing.simulation.faults import STORE_FAULTS, Faults, FaultyStore
from taskengine.testing.simulation.loop import Domain, SimLoop
from taskengine.testing.simulation.picking import Picker, PriorityPicker, StarvingPicker, UniformPicker
from taskengine.testing.simulation.world import NodeGone, SimNode, World

__all__ = [
    "STATEMENT_FAULTS",
    "STORE_FAULTS",
    "Audit",
    "Chance",
    "Disk",
    "Domain",
    "Faults",
    "FaultyStore",
    "Latency",
    "MemoryDisk",
    "NodeGone",
    "Picker",
    "PriorityPicker",
    "SimEnvironment",
    "SimLoop",
    "SimNode",
    "SimulationError",
    "SqliteDisk",
    "StarvingPicker",
    "UniformPicker",
    "World",
]

"""An engine in virtual time, for tests of workflows. ``virtual_engine`` is the way in."""

from taskengine.testing.virtual.clock import Clock
from taskengine.testing.virtual.engine import Ended, VirtualEngine, VirtualExecution
from taskengine.testing.virtual.steps import Call, MockedStep
from taskengine.testing.virtual.threads import virtual_engine

__all__ = ["Call", "Clock", "Ended", "MockedStep", "VirtualEngine", "VirtualExecution", "virtual_engine"]

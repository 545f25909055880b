"""Kill your own engine at every point where it may matter, and look at what is left. Needs ``fork``: Linux and macOS."""

from taskengine.testing.crash.child import Child, Ended, Say, fork
from taskengine.testing.crash.points import CrashPoints, Point

__all__ = ["Child", "CrashPoints", "Ended", "Point", "Say", "fork"]

"""What others need to test what they build on the engine. Each name is loaded when it is first used.

``virtual_engine`` runs workflows in virtual time, ``History`` makes claims about what happened, ``record`` and ``replay`` keep
histories in a repository, ``explore_crashes`` kills the engine at every commit. ``conformance``, ``simulation`` and ``crash`` are
the engine's own kits for those who write adapters; ``conformance`` needs pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskengine.testing.explorer import CrashError, Exploration, explore_crashes
    from taskengine.testing.history import History, HistoryError, history_of
    from taskengine.testing.recording import record
    from taskengine.testing.replaying import ReplayError, histories, replay
    from taskengine.testing.virtual import Call, Clock, Ended, MockedStep, VirtualEngine, VirtualExecution, virtual_engine

__all__ = [
    "Call",
    "Clock",
    "CrashError",
    "Ended",
    "Exploration",
    "History",
    "HistoryError",
    "MockedStep",
    "ReplayError",
    "VirtualEngine",
    "VirtualExecution",
    "explore_crashes",
    "histories",
    "history_of",
    "record",
    "replay",
    "virtual_engine",
]

_HOMES = {
    "Call": "virtual",
    "Clock": "virtual",
    "CrashError": "explorer",
    "Ended": "virtual",
    "Exploration": "explorer",
    "History": "history",
    "HistoryError": "history",
    "MockedStep": "virtual",
    "ReplayError": "replaying",
    "VirtualEngine": "virtual",
    "VirtualExecution": "virtual",
    "explore_crashes": "explorer",
    "histories": "replaying",
    "history_of": "history",
    "record": "recording",
    "replay": "replaying",
    "virtual_engine": "virtual",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'taskengine.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"taskengine.testing.{home}"), name)


def __dir__() -> list[str]:
    return __all__

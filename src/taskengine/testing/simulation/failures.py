"""How a simulation ends badly: each way has a name, and the error says how to see it again."""

from __future__ import annotations

from taskengine.errors import InternalError

__all__ = ["SimulationError"]


class SimulationError(InternalError):
    """The simulated system broke a promise, or the simulation was asked for what it does not do.

    Names: ``deadlock`` (nothing is ready, nothing is scheduled, the goal is not reached), ``livelock`` (too many steps),
    ``real_world`` (a thread, a socket or a file was asked for), ``unhandled`` (an exception nobody took), and those of
    ``simulation.audit`` and ``simulation.world``.
    """

    code = "TE9100"

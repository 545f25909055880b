"""How much each suite does: the amounts of ``make test`` and of ``make nightly``, side by side where they are used.

``TASK_ENGINE_SUITE`` is ``test`` (the default) or ``nightly``. A suite asks ``amount(test=100, nightly=10_000)`` and reads no
environment variable itself.
"""

from __future__ import annotations

import os
from typing import Final, Literal

Suite = Literal["test", "nightly"]

VARIABLE: Final = "TASK_ENGINE_SUITE"


def suite() -> Suite:
    """Which suite runs now. Any other value than the two is a mistake, not a small suite."""
    match os.environ.get(VARIABLE) or "test":
        case "test":
            return "test"
        case "nightly":
            return "nightly"
        case other:
            message = f"{VARIABLE} is {other!r}; it may be 'test' or 'nightly'"
            raise ValueError(message)


def amount(*, test: int, nightly: int) -> int:
    """Return the amount for the suite that runs now."""
    return nightly if suite() == "nightly" else test

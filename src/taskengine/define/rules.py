"""Rules for single values of the model, and their bounds: the same for what a document says and for what a builder made.

Each rule answers why a value cannot be, or nothing. Nothing here reads a document.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from taskengine.define.phrase import visible
from taskengine.model.duration import MAX_DURATION_MS

__all__ = [
    "BACKOFF",
    "BATCH",
    "CHILDREN",
    "CONCURRENCY",
    "DURATION",
    "ITERATIONS",
    "JITTER",
    "MAX_ATTEMPTS",
    "MAX_DEPTH",
    "MAX_ID",
    "MAX_NAME",
    "MAX_NESTING",
    "MAX_STEPS",
    "MAX_VERSION",
    "PERCENT",
    "PRIORITY",
    "function_fits",
    "id_fault",
    "name_fault",
    "slug",
    "version_fits",
]

MAX_STEPS: Final = 10_000  # with those inside of others
MAX_NESTING: Final = 16  # containers around a step
MAX_DEPTH: Final = 64  # of lists and mappings in each other
MAX_NAME: Final = 200
MAX_ID: Final = 128
MAX_VERSION: Final = 64

MAX_ATTEMPTS: Final = (1, 10_000)
CONCURRENCY: Final = (1, 100_000)
ITERATIONS: Final = (1, 100_000)  # of a loop
BATCH: Final = (1, 100_000)  # items of a map that one scope takes
CHILDREN: Final = (0, 1_000_000)  # that must complete
PERCENT: Final = (0.0, 100.0)  # of children that must complete
PRIORITY: Final = (0, 9)
BACKOFF: Final = (1.0, 1_000.0)
JITTER: Final = (0.0, 1.0)
DURATION: Final = (1, MAX_DURATION_MS)

_VERSION: Final = re.compile(r"[A-Za-z0-9](?:[._+-]?[A-Za-z0-9])*")
_FUNCTION: Final = re.compile(r"[^\W\d][\w.-]*(?::[^\W\d]\w*(?:\.[^\W\d]\w*)*)?")


def name_fault(name: str) -> str:
    """Why this cannot be a workflow's name; empty when it can."""
    if not name.strip():
        return "is empty"
    if len(name) > MAX_NAME:
        return f"has {len(name)} characters"
    if not name.isprintable():
        hidden = next(character for character in name if not character.isprintable())
        return f"holds a line break or hidden character ({visible(hidden)})"
    if name != name.strip():
        return "begins or ends with a space"
    return ""


def version_fits(label: str) -> bool:
    """Whether this can be a version: a short word without ``..`` or separators at its ends."""
    return len(label) <= MAX_VERSION and _VERSION.fullmatch(label) is not None


def id_fault(step_id: str) -> str:
    """Why this cannot be a step's id; empty when it can."""
    if not step_id:
        return "it is empty"
    if len(step_id) > MAX_ID:
        return f"it has {len(step_id)} characters, at most {MAX_ID} are allowed"
    if unicodedata.normalize("NFC", step_id) != step_id:
        return "it is not in Unicode normal form C"
    if not step_id.isidentifier():
        return "it may have letters, digits and _ only, and begin with no digit"
    return ""


def slug(step_id: str) -> str:
    """An id like the one that was meant; empty when nothing of it can be kept."""
    words = re.sub(r"\W+", "_", unicodedata.normalize("NFC", step_id)).strip("_")[:MAX_ID]
    return words if words.isidentifier() else f"_{words}" if words and f"_{words}".isidentifier() else ""


def function_fits(name: str) -> bool:
    """Whether this names a function: a registered name, or ``package.module:qualified.name``."""
    return len(name) <= 2 * MAX_ID and _FUNCTION.fullmatch(name) is not None

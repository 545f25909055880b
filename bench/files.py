"""Where measurements keep their databases: one folder on the disk that is measured, each file made anew."""

from __future__ import annotations

import tempfile
from pathlib import Path

__all__ = ["fresh", "workspace"]


def workspace() -> Path:
    """A new folder beside the results: on the same disk as the checkout, not in a memory file system."""
    home = Path(__file__).parent / "data"
    home.mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(dir=home))


def fresh(path: Path) -> Path:
    """The path, with no database there."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return path

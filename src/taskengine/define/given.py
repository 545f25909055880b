"""What the checks are given: lists and mappings, values that could not be read, and what is in doubt because of them."""

from __future__ import annotations

from typing import Any, Final, TypeAlias, TypeGuard

__all__ = ["BROKEN", "Doubts", "Keys", "is_list", "is_mapping"]

# The way to a value in a document: ``("steps", 2, "depends_on", 0)``.
Keys: TypeAlias = tuple[str | int, ...]


class _Broken:
    """Stands for a value that was refused and reported; whoever meets it says nothing more."""

    def __repr__(self) -> str:
        return "BROKEN"


BROKEN: Final = _Broken()


class Doubts:
    """What could not be read, and what therefore is not to be judged. Steps and lists of steps are known by their places."""

    def __init__(self) -> None:
        self.unread: set[str] = set()  # attributes of the workflow
        self.nameless: set[Keys] = set()  # steps without an id: they hold a made-up one
        self.typeless: set[Keys] = set()  # steps without a type
        self.loose: set[Keys] = set()  # steps whose dependencies are not all known
        self.vague: set[Keys] = set()  # steps and blocks that hold more than could be read


def is_mapping(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether this is a mapping; documents have text as keys."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether this is a list."""
    return isinstance(value, list)

"""What the command line says in Chinese: one table from the English of the sources to the Chinese of it. Loaded when needed.

``{…}`` stand for facts and must be the same on both sides. What is not here is said in English.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

__all__ = ["TEXTS", "translated"]

TEXTS: Final[dict[str, str]] = {
    "Usage: ": "用法: ",
    "Options": "选项",
    "Commands": "命令",
    "Examples": "示例",
}
_FACT: Final = re.compile(r"\{(\w+)\}")


def translated(text: str) -> str:
    """A text whose facts are filled in already: found by the shape of the English one."""
    for pattern, chinese in _patterns():
        found = pattern.fullmatch(text)
        if found is not None:
            return chinese.format(**found.groupdict())
    return text


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(_shape(english), re.DOTALL), chinese) for english, chinese in TEXTS.items())


def _shape(english: str) -> str:
    parts = _FACT.split(english)
    return "".join(re.escape(part) if place % 2 == 0 else f"(?P<{part}>.*)" for place, part in enumerate(parts))

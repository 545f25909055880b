"""What may be said of a ``script`` step: where its code stands, what runs it, how it is bounded. Plain rules on plain data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = [
    "COUNTED",
    "DEFAULTS",
    "INLINE",
    "LIMITS",
    "MAX_SIZE",
    "RUNTIMES",
    "SIZED",
    "inline_code",
    "parse_size",
    "runtime_of",
    "script_fault",
    "script_of",
]

INLINE: Final = "inline:"
# Runtime → the endings of its files, the first one for code that has no file.
RUNTIMES: Final[Mapping[str, tuple[str, ...]]] = {
    "python": (".py",),
    "bash": (".sh", ".bash"),
    "sh": (".sh",),
    "node": (".js", ".mjs", ".cjs"),
    "perl": (".pl",),
    "ruby": (".rb",),
}
SIZED: Final = ("memory", "output", "file_size")  # sizes in bytes
COUNTED: Final = ("processes", "open_files")
LIMITS: Final = ("cpu", *SIZED, *COUNTED)
# What holds where nothing is said. Time is bounded by the step's timeout, memory by nothing: what a script needs, nobody knows.
DEFAULTS: Final[Mapping[str, int]] = {
    "output": 16 * 1024 * 1024,
    "file_size": 10 * 1024 * 1024 * 1024,
    "processes": 256,
    "open_files": 1_024,
}
MAX_SIZE: Final = 2**50
_BY_SUFFIX: Final = {suffix: name for name, suffixes in reversed([*RUNTIMES.items()]) for suffix in suffixes}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", re.IGNORECASE | re.ASCII)
_POWERS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def script_of(config: Mapping[str, Any]) -> Any:
    """What stands under ``script``, or what stands under ``inline`` in the same words."""
    code = config.get("inline")
    return f"{INLINE}\n{code}" if isinstance(code, str) and "script" not in config else config.get("script", code)


def inline_code(script: str) -> str | None:
    """The code of ``inline: …``; ``None`` when the text names a file. Nothing of it is changed but the beginning."""
    if not script.startswith(INLINE):
        return None
    return script.removeprefix(INLINE).removeprefix(" ").removeprefix("\n")


def runtime_of(script: str, given: object) -> str:
    """What runs it: the runtime given, or the one that the file's name ends for; empty when nobody can know. Inline: Python."""
    if isinstance(given, str):
        return given
    if inline_code(script) is not None:
        return "python"
    name = script.rpartition("/")[2]
    return _BY_SUFFIX.get(name[name.rfind(".") :] if "." in name else "", "")


def script_fault(script: str) -> str:
    """What is wrong with the text under ``script``; empty when nothing is."""
    code = inline_code(script)
    if code is not None:
        return "" if code.strip() else "there is no code behind inline:"
    if not script.strip() or "\0" in script or "\n" in script:
        return "it is no name of a file"
    if script.startswith("/") or ".." in script.split("/"):
        return "the file must lie beside the document or in a folder there"
    return ""


def parse_size(value: object) -> int:
    """Bytes, of a number or of text such as 512MiB, 1.5GB, 64k. ``ValueError`` for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and (found := _SIZE.fullmatch(value.strip())):
        amount, power, binary = found.groups()
        size = round(float(amount) * (1024 if binary else 1000) ** _POWERS[power.upper()])
    else:
        raise ValueError(f"{value!r} is no size; write bytes, or text such as 512MiB")
    if not 0 < size <= MAX_SIZE:
        raise ValueError(f"{value!r} is no size between 1 byte and 1 PiB")
    return size

"""What leaves a command: data on stdout (always UTF-8, whatever the terminal is), notes and ``key=value`` lines for people."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import click
import msgspec

from taskengine.define.phrase import visible

__all__ = ["emit", "emit_line", "note", "paired"]

_MAX_VALUE: Final = 300
_encode: Final = msgspec.json.Encoder().encode


def emit(document: object, output: str) -> None:
    """One document in the form ``json`` or ``yaml``."""
    if output == "yaml":
        import yaml

        text = yaml.safe_dump(msgspec.to_builtins(document, str_keys=True), sort_keys=False, allow_unicode=True)
        click.echo(text.encode(), nl=False)
    else:
        click.echo(msgspec.json.format(_encode(document), indent=2))


def emit_line(document: object) -> None:
    """One object on a line of its own."""
    click.echo(_encode(document))


def note(text: str) -> None:
    """A line for people, on stderr. Whoever is gone misses it; nothing else depends on it."""
    with suppress(BrokenPipeError):
        click.echo(text, file=sys.stderr)


def paired(facts: Mapping[str, object]) -> str:
    """``key=value`` pairs on one line; what is nothing is left out."""
    return " ".join(f"{name}={_quoted(str(value))}" for name, value in facts.items() if value not in {None, ""})


def _quoted(value: str) -> str:
    """As it is when it is one plain word, else in double quotes on one line."""
    text = value if len(value) <= _MAX_VALUE else value[:_MAX_VALUE] + "..."
    if text and not any(character.isspace() or character in '"=' for character in text):
        return visible(text)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{visible(escaped)}"'

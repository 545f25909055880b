"""Data on stdout: JSON, YAML, lines of JSON, names. Always UTF-8, whatever the terminal is."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Final

import click
import msgspec

__all__ = ["emit", "emit_line", "note"]

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

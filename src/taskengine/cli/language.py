"""In which language a command speaks to people: English, the source, or Chinese by ``--lang zh`` or a Chinese locale.

Data, ids and names of errors are never translated; the words of statuses are where people read them. The catalogue is loaded when
something is to be said in Chinese.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

import click

__all__ = ["LANGUAGES", "choose", "given_in", "is_chinese", "say", "say_whole"]

LANGUAGES: Final = ("en", "zh")
_CHOSEN: Final = "taskengine.language"
_LOCALE: Final = ("LC_ALL", "LC_MESSAGES", "LANG")


def choose(ctx: click.Context, language: str | None) -> None:
    """Remember what ``--lang`` said, for this command and everything below it."""
    if language in LANGUAGES:
        ctx.meta[_CHOSEN] = language


def given_in(words: Sequence[str]) -> str | None:
    """What ``--lang`` says among words that were not parsed yet: help is printed before other options are looked at."""
    for place, word in enumerate(words):
        if word == "--":
            return None
        if word.startswith("--lang="):
            return word.removeprefix("--lang=")
        if word == "--lang":
            return words[place + 1] if place + 1 < len(words) else None
    return None


def is_chinese() -> bool:
    """Whether people are spoken to in Chinese: ``--lang``, ``TASK_ENGINE_LANG``, then the locale."""
    ctx = click.get_current_context(silent=True)
    chosen = ctx.meta.get(_CHOSEN) if ctx is not None else None
    spoken = (
        chosen or os.environ.get("TASK_ENGINE_LANG") or next((os.environ[name] for name in _LOCALE if os.environ.get(name)), "")
    )
    return str(spoken).lower().startswith("zh")


def say(text: str, **facts: object) -> str:
    """A text of ours in the language of the command, its facts filled in."""
    if is_chinese():
        from taskengine.cli.chinese import TEXTS

        text = TEXTS.get(text, text)
    return text.format(**facts) if facts else text


def say_whole(text: str) -> str:
    """A text that came with its facts filled in already, such as an error's message."""
    if not is_chinese():
        return text
    from taskengine.cli.chinese import translated

    return translated(text)

"""``explain``: what an error code or name means, why it happens, what to do."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from taskengine.cli.command import EngineCommand, output_option
from taskengine.cli.language import say

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from taskengine.cli.pages import Page

__all__ = ["explain"]


def _codes(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from taskengine.cli.pages import pages

    return [CompletionItem(one.code, help=one.name) for one in pages() if one.code.startswith(incomplete.upper())]


@click.command(
    "explain",
    cls=EngineCommand,
    examples=("task-engine explain TE1204", "task-engine explain version_exists", "task-engine explain"),
)
@click.argument("code", required=False, default="", metavar="[CODE]", shell_complete=_codes)
@output_option("table", "json", "yaml", "name")
def explain(code: str, output: str) -> None:
    """Say what an error code (TE…), a name, or a failure (Timeout) means, and what to do about it. Without one: list them all.

    Why an execution is not further is said by `instance explain ID`.
    """
    from taskengine.cli.output import emit
    from taskengine.cli.pages import pages

    found = [_page(code)] if code else pages()
    if output in {"json", "yaml"}:
        emit(found[0] if code else {"items": found, "total": len(found)}, output)
    elif output == "name":
        for one in found:
            click.echo(one.code)
    elif code:
        _show(found[0])
    else:
        from taskengine.cli.tables import fitted

        lines = [[one.code, one.severity, one.name, one.what] for one in found]
        for line in fitted(["CODE", "SEVERITY", "NAME", "WHAT"], lines):
            click.echo(line)


def _page(word: str) -> Page:
    from taskengine.cli.pages import NAMES, page_of, pages
    from taskengine.define.phrase import nearest, quoted
    from taskengine.errors import NotFoundError

    page = page_of(word)
    if page is None:
        meant = nearest(word, [*(one.code for one in pages()), *(one.name for one in pages()), *NAMES])
        hint = f"did you mean {meant}? task-engine explain {meant}" if meant else "task-engine explain lists them all"
        raise NotFoundError("unknown_code", f"there is no error {quoted(word)}", hint=hint)
    return page


def _show(page: Page) -> None:
    from taskengine.cli.terminal import look, width_of, wrapped

    style, room = look(sys.stdout), width_of(sys.stdout)
    label = page.severity if page.severity == "failure" else f"{page.severity}[{page.code}]"
    head = style.styled(label, "warning" if page.severity == "warning" else "error")
    click.echo(f"{head} {page.name}", color=True)
    told = ((say("what"), page.what), (say("why"), page.why), (say("do"), page.fix), (say("names"), ", ".join(page.names)))
    for label, text in ((label, text) for label, text in told if text):
        for place, line in enumerate(wrapped(text, room - 8) if room else [text]):
            head = f"{'' if place else label:<5}"
            click.echo(f"  {style.styled(head, 'hint')} {line}".rstrip(), color=True)

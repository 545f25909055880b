"""Progress on a terminal: one region, repainted in place, never higher than the terminal. The only module that imports rich."""

from __future__ import annotations

import sys
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from taskengine.app.follow import Change, Follower
from taskengine.cli.language import say
from taskengine.cli.rows import Row, counted, may_grow, progress, rows
from taskengine.cli.terminal import Look, cells, look
from taskengine.define.phrase import visible
from taskengine.kernel.state import Execution
from taskengine.model.value import Instant

__all__ = ["LiveView"]

FOLDED_ABOVE: Final = 20  # tasks; more of them are counted, and only those that need attention have a line
_BAR: Final = 16
_NAME: Final = 8  # columns that the workflow's name has at least
_SHORT_ID: Final = 8
_STATUS: Final = 9  # columns of the longest status
_NOTE: Final = 4  # columns below which a note says nothing
_REPAINT_MS: Final = 1_000  # the clock in the header goes on when nothing else does


class LiveView:
    """A header, and below it a line for each task or for those that matter. Paints on stderr, at most when it is called."""

    def __init__(self) -> None:
        self._look: Look = look(sys.stderr)
        self._console = Console(
            file=sys.stderr,
            no_color=not self._look.has_color,
            highlight=False,
            emoji=False,
            markup=False,
            safe_box=True,
            legacy_windows=False,
        )
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        self._live.start()
        self._painted_at: Instant = 0

    def show(self, follower: Follower, changes: list[Change], *, now: Instant) -> None:
        """Repaint when something changed, or once a second."""
        if changes or now - self._painted_at >= _REPAINT_MS:
            self._painted_at = now
            lines = frame(follower, now=now, style=self._look, width=self._console.width, height=self._console.height)
            self._live.update(Text.from_ansi("\n".join(lines), no_wrap=True, overflow="crop"), refresh=True)

    def close(self) -> None:
        """Leave the last picture where it is and give the cursor back."""
        self._live.stop()


def frame(follower: Follower, *, now: Instant, style: Look, width: int, height: int) -> list[str]:
    """The picture of one moment: at most ``height - 1`` lines of at most ``width`` columns."""
    state = follower.state
    room = max(1, min(FOLDED_ABOVE, height - 3))
    shown, is_folded = rows(state, past=follower.past, now=now, room=room)
    lines = [_header(state, now=now, style=style, width=width)]
    names = max((cells(row.indent + visible(row.label)) for row in shown), default=0)
    lines += [_line(row, style=style, width=width, names=min(names, width // 3)) for row in shown]
    if is_folded:
        lines.append(style.crop(f"  {counted(state)}", width - 1))
    return lines[: max(1, height - 1)]


def _header(state: Execution, *, now: Instant, style: Look, width: int) -> str:
    status = state.status.value
    started_at = state.started_at if state.started_at is not None else now
    seconds = max(0, (now if state.finished_at is None else state.finished_at) - started_at) // 1_000
    minutes, seconds = divmod(seconds, 60)
    clock = f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    name, execution_id = visible(state.plan.workflow.name), state.execution_id
    tail = f"  {progress(state)}" if may_grow(state) else f"  {_bar(state, style)} {progress(state)}"
    fixed = cells(f"    {style.mark(status)} {say(status)}  {clock}  {tail}") + _NAME
    if fixed + len(execution_id) > width:
        tail = f"  {progress(state)}"
        fixed = cells(f"    {style.mark(status)} {say(status)}  {clock}  {tail}") + _NAME
    if fixed + len(execution_id) > width:
        execution_id = execution_id[-_SHORT_ID:]  # enough of it to name the execution in a command
    name = style.crop(name, max(_NAME, width - fixed - len(execution_id) + _NAME))
    return f"{style.styled(name, 'bold')}  {execution_id}  {style.status(status)}  {clock}{tail}"


def _bar(state: Execution, style: Look) -> str:
    full, empty = ("▓", "░") if style.has_unicode else ("#", ".")
    total = state.size
    done = _BAR * (total - state.open_count) // total if total else _BAR
    return full * done + empty * (_BAR - done)


def _line(row: Row, *, style: Look, width: int, names: int) -> str:
    names -= len(row.indent)
    name = style.crop(visible(row.label), max(1, names))
    name += " " * (names - cells(name))
    word = say(row.status)
    word += " " * (_STATUS - cells(word))
    head = f"  {row.indent}{style.mark(row.mark)} {name}  {word}  {row.duration:>7}  "
    room = width - 1 - cells(head)
    told = row.note or (f"attempt {row.attempt}" if row.attempt > 1 else "")
    note = style.crop(visible(told), room) if told and room >= _NOTE else ""
    status = style.status(row.mark, word=f"{name}  {word}")
    return f"  {row.indent}{status}  {row.duration:>7}  {style.styled(note, 'dim') if note else ''}".rstrip()

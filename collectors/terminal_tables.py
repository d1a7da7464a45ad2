"""Tables for a terminal or a pipe. No value is cut off.

Cells are shown as they are, never as markup: a port called `[/]` is shown as that. In a
terminal that is too narrow, texts wrap first. If that is not enough, the last columns
move to lines below their row. A pipe has no width: every row is one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from probes.wire.display import displayable

Cell = str | Text
# A text column that wraps is at least this wide, and the first one this.
_LEAST_TEXT, _LEAST_FIRST = 16, 24
_GAP = 2
_INDENT = "    "
# Wider than any row.
_PIPE_COLUMNS = 1_000_000


def output_console() -> Console:
    """The console of a command: as wide as the terminal, or without a limit."""
    console = Console()
    if console.is_terminal:
        return console
    return Console(width=_PIPE_COLUMNS)


class TerminalTable:
    """A table with a line under its head. Columns without any value are left out.

    Columns in `right` have figures and units: they are aligned right and never wrap.
    Without a `title` there is no head.
    """

    def __init__(self, title: str, *columns: str, right: Sequence[str] = ()) -> None:
        self._title, self._columns = title, columns
        self._right = [name in right for name in columns]
        self._rows: list[list[Text]] = []

    @property
    def row_count(self) -> int:
        return len(self._rows)

    def add_row(self, *cells: Cell) -> None:
        """Adds a row; texts are shown literally, without control characters."""
        self._rows.append(
            [
                Text(displayable(cell)) if isinstance(cell, str) else cell
                for cell in cells
            ]
        )

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        used = [
            n
            for n in range(len(self._columns))
            if n == 0 or any(row[n].plain for row in self._rows)
        ]
        shown, widths = self._fit(used, options.max_width)
        below = [n for n in used if n not in shown]
        if self._title:
            yield Text(self._title, style="bold")
            head = [Text(self._columns[n], style="bold") for n in shown]
            yield from self._lines(console, shown, widths, head)
            yield Text("─" * (sum(widths) + _GAP * (len(widths) - 1)))
        for row in self._rows:
            yield from self._lines(console, shown, widths, [row[n] for n in shown])
            width = max(_LEAST_TEXT, options.max_width - len(_INDENT))
            for line in self._below(row, below):
                for part in line.wrap(console, width, overflow="fold"):
                    part.rstrip()
                    yield Text.assemble(_INDENT, part)

    def _below(self, row: Sequence[Text], columns: Sequence[int]) -> Iterator[Text]:
        """The lines below a row: one for all figures, and one for each text."""
        named = {
            n: Text.assemble(f"{self._columns[n]}: ", row[n])
            for n in columns
            if row[n].plain
        }
        figures = [text for n, text in named.items() if self._right[n]]
        if figures:
            yield Text(", ").join(figures)
        yield from (text for n, text in named.items() if not self._right[n])

    def _fit(self, used: Sequence[int], width: int) -> tuple[list[int], list[int]]:
        """Which of the columns `used` are shown side by side, and how wide each is."""
        head = bool(self._title)
        natural = {
            n: max(
                (cell_len(row[n].plain) for row in self._rows),
                default=0,
            )
            for n in used
        }
        if head:
            natural = {
                n: max(size, cell_len(self._columns[n])) for n, size in natural.items()
            }
        least = {
            n: size
            if self._right[n]
            else min(size, _LEAST_TEXT if n or not head else _LEAST_FIRST)
            for n, size in natural.items()
        }
        shown = list(used)
        while len(shown) > 1 and _total(least[n] for n in shown) > width:
            shown.pop()
        widths = [least[n] for n in shown]
        left = width - _total(widths)
        # Room is given first to those that need the least of it.
        for at in sorted(range(len(shown)), key=lambda at: natural[shown[at]]):
            more = min(natural[shown[at]] - widths[at], max(0, left))
            widths[at] += more
            left -= more
        if left < 0:
            widths[0] = max(1, widths[0] + left)
        return shown, widths

    def _lines(
        self,
        console: Console,
        shown: Sequence[int],
        widths: Sequence[int],
        cells: Sequence[Text],
    ) -> Iterable[Text]:
        wrapped = [
            [cell]
            if cell_len(cell.plain) <= width
            else list(cell.wrap(console, width, overflow="fold"))
            for cell, width in zip(cells, widths, strict=True)
        ]
        for at in range(max(map(len, wrapped))):
            line = Text()
            for n, width, parts in zip(shown, widths, wrapped, strict=True):
                part = parts[at].copy() if at < len(parts) else Text()
                part.rstrip()
                pad = " " * max(0, width - cell_len(part.plain))
                if n != shown[0]:
                    line.append(" " * _GAP)
                line.append_text(
                    Text.assemble(pad, part)
                    if self._right[n]
                    else Text.assemble(part, pad)
                )
            line.rstrip()
            yield line


def _total(widths: Iterable[int]) -> int:
    sizes = list(widths)
    return sum(sizes) + _GAP * (len(sizes) - 1)

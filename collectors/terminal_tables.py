"""Tables for a terminal. Cells are shown as they are, never as markup: a port called
`[/]` is shown as that."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from probes.wire.display import displayable

Cell = str | Text


def table(
    title: str,
    *columns: str,
    right: Sequence[str] = (),
    cut: Sequence[str] = (),
    first: int = 0,
) -> Table:
    """A narrow table: a line under the head, none between the columns.

    Columns in `right` are aligned right, for figures. Columns in `cut` end in `…` if
    there is no room; all others wrap, and the first one is at least `first` wide.
    """
    result = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for n, name in enumerate(columns):
        figures = name in right
        result.add_column(
            name,
            justify="right" if figures else "left",
            no_wrap=figures or name in cut,
            min_width=None if n else first,
            overflow="ellipsis" if name in cut else "fold",
        )
    return result


def add_row(rows: Table, *cells: Cell) -> None:
    """Adds a row; texts are shown literally, without control characters."""
    rows.add_row(
        *(Text(displayable(cell)) if isinstance(cell, str) else cell for cell in cells)
    )

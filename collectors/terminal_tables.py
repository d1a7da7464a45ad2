"""Tables for a terminal, whose cells are shown as they came.

What a device or a file says is never markup: a port called `[/]` is shown as that.
"""

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
    """A table with `columns`, narrow: a line under the head, none between the columns.

    Those in `right` stand to the right, as figures do; those in `cut` end in `…` where
    there is no room, all others go on in the next line, the first one not before it has
    `first` characters.
    """
    made = Table(
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
        made.add_column(
            name,
            justify="right" if figures else "left",
            no_wrap=figures or name in cut,
            min_width=None if n else first,
            overflow="ellipsis" if name in cut else "fold",
        )
    return made


def add_row(made: Table, *cells: Cell) -> None:
    made.add_row(
        *(Text(displayable(each)) if isinstance(each, str) else each for each in cells)
    )

"""Tables keep every value, whatever the width."""

from __future__ import annotations

from io import StringIO

from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from collectors.terminal_tables import TerminalTable, output_console

TEXTS = st.text(st.sampled_from("abcXYZ019-/.é会議室 "), max_size=60).map(
    lambda text: " ".join(text.split())
)
ROWS = st.lists(st.tuples(TEXTS, TEXTS, TEXTS, TEXTS), min_size=1, max_size=4)


def shown(
    rows: list[tuple[str, str, str, str]], width: int, title: str = "Ports"
) -> str:
    table = TerminalTable(
        title, "port", "speed", "neighbour", "description", right=("speed",)
    )
    for row in rows:
        table.add_row(*row)
    out = StringIO()
    Console(file=out, width=width).print(table)
    return out.getvalue()


def squeezed(text: str) -> str:
    """Without what wrapping changes."""
    return "".join(text.split())


@given(ROWS, st.integers(62, 132))
@example([("会議室" * 20, "9" * 60, "x" * 60, "y " * 30)], 62)
def test_no_value_is_cut_and_no_line_is_wider_than_the_terminal(
    rows: list[tuple[str, str, str, str]], width: int
) -> None:
    text = shown(rows, width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert all(line == line.rstrip() for line in text.splitlines())
    letters = sorted(squeezed("".join(cell for row in rows for cell in row)))
    left = squeezed(text)
    for letter in set(letters):
        assert left.count(letter) >= letters.count(letter)


def test_a_pipe_has_one_line_for_each_row() -> None:
    row = ("GigabitEthernet1/0/1" * 4, "1 Gbit/s", "n" * 90, "a description " * 20)
    text = shown([row, row], 1_000_000)
    assert len(text.splitlines()) == 5
    for cell in row:
        assert text.count(cell.strip()) == 2


def test_columns_that_do_not_fit_are_below_their_row() -> None:
    text = shown([("Gi1/0/1", "1 Gbit/s", "core-1", "to the cellar")], 22)
    assert text.splitlines()[3:] == [
        "Gi1/0/1  1 Gbit/s",
        "    neighbour: core-1",
        "    description: to",
        "    the cellar",
    ]


def test_output_that_is_not_a_terminal_is_not_wrapped() -> None:
    assert output_console().width > 100_000

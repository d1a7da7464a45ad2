"""What of an exported file is not imported, in words."""

from pathlib import Path

import pytest
import typer

from towpath.commands.import_rows import SHOWN, report_left_out


@pytest.mark.parametrize(
    ("count", "last"),
    [
        (SHOWN, "row 7 is empty"),
        (SHOWN + 1, "and 1 more row that cannot be read"),
        (SHOWN + 2, "and 2 more rows that cannot be read"),
    ],
)
def test_rows_that_cannot_be_read_are_counted_as_people_count(
    count: int, last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    unread = [f"row {n} is empty" for n in range(count)]
    with pytest.raises(typer.Exit):
        report_left_out(Path("cqd.csv"), unread, (), ())
    told = capsys.readouterr().err.splitlines()
    assert f"cqd.csv: {last}" in told

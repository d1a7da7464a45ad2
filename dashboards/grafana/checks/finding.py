"""What a check reports, and the names of all checks."""

from __future__ import annotations

from dataclasses import dataclass

# The name of each check, and what it demands. `towpath dashboards check --without`.
CHECKS = {
    "file": "a file is a dashboard in JSON, with a uid and title of its own",
    "names": "measurements, fields and tags are in the catalogue",
    "personal": "data about one laptop is queried only from its own data source",
    "language": "queries are InfluxQL",
    "variables": "a query uses only variables of its board, safely",
    "rows": "a table has one row for each subject",
    "series": "a graph has at most twelve lines from one query",
    "units": "a number has a unit, and that of the catalogue",
    "axis": "a fixed maximum of an axis hides no value",
    "legend": "a graph has settings for its legend and for missing values",
    "fill": "filled areas do not hide each other",
    "states": "an outage on a state timeline shows",
    "descriptions": "boards and panels have a description",
    "titles": "panels have titles, and no two of a board have the same",
    "links": "a board has links, to boards and variables that exist",
    "time": "the default time range and refresh are reasonable",
    "widths": "all columns of a table of our own boards are in view",
    "words": "titles of our own boards are questions, in the field's words",
}


@dataclass(frozen=True)
class Finding:
    """One fault: where it is (file or board, panel), and what was expected. `check` is
    one of `CHECKS`."""

    check: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text} ({self.check})"

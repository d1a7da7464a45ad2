"""Links from a board to the next one, keeping the time range and the selections."""

from __future__ import annotations

from dataclasses import dataclass

# Grafana 11 and later decode the address of a link once more, so that "&", "#" and "+"
# in a value end it or become spaces (their issue 58149), unless the address has a "%"
# that encodes nothing. Browsers and all versions of Grafana ignore it behind a "#".
KEEPS_ENCODING = "#%"


@dataclass(frozen=True)
class PanelLink:
    """A link of a panel, a line or a cell, with the text that is shown for it."""

    title: str
    url: str


def link_to(board: str, keep: tuple[str, ...] = (), /, **variables: str) -> str:
    """Returns the address of another board with the same time range.

    `variables`: variable of that board → its value: `column("device")` in tables,
    `label("port")` on lines, `cell()`, `choice("site")`, or a constant.
    `keep`: variables of this board that the other has too, with all chosen values.
    `link_to("towpath-port", ("site",), device=choice("device"), port=cell())`.
    """
    parts = [f"var-{name}={value}" for name, value in variables.items()]
    parts += [f"${{{name}:queryparam}}" for name in keep]
    return f"/d/{board}?{'&'.join([*parts, '${__url_time_range}'])}{KEEPS_ENCODING}"


def column(name: str) -> str:
    """The value of another column of the same row, by its name in the query."""
    return f"${{__data.fields.{name}:percentencode}}"


def label(tag: str) -> str:
    """The tag of the line that was clicked."""
    return f"${{__field.labels.{tag}:percentencode}}"


def cell() -> str:
    """The value of the cell that was clicked."""
    return "${__value.raw:percentencode}"


def choice(variable: str) -> str:
    """The one chosen value of a variable of this board."""
    return f"${{{variable}:percentencode}}"


def links_json(links: tuple[PanelLink, ...]) -> list[dict[str, str]]:
    """Returns the links as Grafana writes them."""
    return [{"title": link.title, "url": link.url} for link in links]

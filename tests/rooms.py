"""The rooms of the code and which imports which, from the imports themselves.

`python tests/rooms.py` puts the picture into `docs/architecture.md` (`make docs` does
it); `tests/test_structure.py` fails if the picture there is an old one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("towpath", "dashboards", "alerts", "collectors", "probes")
ARCHITECTURE = ROOT / "docs" / "architecture.md"
_BEGIN, _END = "<!-- rooms: begin -->\n", "<!-- rooms: end -->"


def modules() -> dict[str, Path]:
    """Every module of the five packages by its dotted name."""
    files = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            files[name] = path
    return files


def imports(path: Path, names: Mapping[str, Path]) -> Iterator[str]:
    """The modules of `names` that the file at `path` imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom) and node.module in names:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in names else node.module


def room_of(module: str, folders: set[str]) -> str:
    """The innermost folder that holds `module`: its room."""
    return module if module in folders else module.rpartition(".")[0]


def rooms() -> dict[str, set[str]]:
    """Each room and the rooms it imports.

    A room below another (`alerts.notify` in `alerts`) may use what lies loose in the
    one around it: that is the same house, and no arrow."""
    files = modules()
    folders = {name for name, path in files.items() if path.name == "__init__.py"}
    found: dict[str, set[str]] = {}
    for name, path in files.items():
        room = room_of(name, folders)
        used = found.setdefault(room, set())
        for module in imports(path, files):
            other = room_of(module, folders)
            if other != room and not room.startswith(other + "."):
                used.add(other)
    return {room: used for room, used in found.items() if used or room in folders}


def floors(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """The rooms by floor, the lowest last: each stands above all that it imports.

    Raises `graphlib.CycleError` if rooms import each other in a circle."""
    height: dict[str, int] = {}
    for room in TopologicalSorter(arrows).static_order():
        below = [height[other] + 1 for other in arrows.get(room, ())]
        height[room] = max(below, default=0)
    top = max(height.values())
    return [
        sorted(room for room in height if height[room] == floor)
        for floor in range(top, -1, -1)
    ]


def reduced(arrows: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The arrows without those that a longer way implies."""
    below: dict[str, set[str]] = {}
    for room in TopologicalSorter(arrows).static_order():
        below[room] = set().union(
            *({other} | below[other] for other in arrows.get(room, ()))
        )
    return {
        room: {
            other
            for other in used
            if not any(other in below[third] for third in used - {other})
        }
        for room, used in arrows.items()
    }


def picture() -> str:
    """The rooms as a Mermaid flow chart, the arrows pointing at what is imported."""
    arrows = rooms()
    lines = ["```mermaid", "flowchart TD"]
    for package in PACKAGES:
        lines.append(f"  subgraph {package}")
        inside = [r for r in sorted(arrows) if r.split(".")[0] == package]
        for room in inside:
            label = room.removeprefix(package + ".")
            lines.append(f'    {_id(room)}["{label}"]')
        lines.append("  end")
    for room, used in sorted(reduced(arrows).items()):
        lines += [f"  {_id(room)} --> {_id(other)}" for other in sorted(used)]
    return "\n".join([*lines, "```"]) + "\n"


def _id(room: str) -> str:
    return room.replace(".", "_") + ("_" if "." not in room else "")


def picture_in(page: str) -> str:
    """The picture that the text of a page has."""
    return page.partition(_BEGIN)[2].partition(_END)[0]


def with_picture(page: str) -> str:
    """The text of a page with today's picture in it."""
    before, _, rest = page.partition(_BEGIN)
    return before + _BEGIN + picture() + _END + rest.partition(_END)[2]


if __name__ == "__main__":
    ARCHITECTURE.write_text(
        with_picture(ARCHITECTURE.read_text(encoding="utf-8")), encoding="utf-8"
    )

"""Pages that are printed from what the code declares: `make docs` writes them, a test
fails where they are old."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from collectors.measurements import CATALOGUE
from probes.catalogue import Catalogue, Measurement

DOCS = Path(__file__).parents[1] / "docs"


def catalogue_page(catalogue: Catalogue) -> str:
    """`docs/catalogue.md`: every measurement with its tags and fields."""
    shared = [each for each in catalogue if not each.personal]
    personal = [each for each in catalogue if each.personal]
    lines = [
        "# The catalogue",
        "",
        "Every measurement Towpath knows, printed from the code (`make docs`). Rules,",
        "dashboards and reports can ask for nothing else.",
        "",
        "Flags are 1 (yes) or 0 (no): their mean is a ratio. A value that was not",
        "measured is absent, never 0.",
        "",
        "## About the network and Towpath itself",
        "",
    ]
    for each in shared:
        lines += _measurement(each)
    lines += [
        "## About one laptop (personal data)",
        "",
        "Kept in a database of their own. Shared pages never ask for these: they see",
        "`experience`, where every group has at least ten laptops.",
        "",
    ]
    for each in personal:
        lines += _measurement(each)
    return "\n".join(lines).rstrip() + "\n"


def write() -> None:
    (DOCS / "catalogue.md").write_text(catalogue_page(CATALOGUE), encoding="utf-8")


def _measurement(each: Measurement) -> Iterator[str]:
    yield f"### `{each.name}`"
    yield ""
    yield (
        f"{each.meaning[0].upper()}{each.meaning[1:]}. Every {_span(each.period_s)}; "
        f"kept {each.retention_days} days; late after {_span(each.lateness_s)}."
    )
    yield ""
    yield "| name | kind | unit | meaning |"
    yield "|---|---|---|---|"
    for tag in each.tags:
        yield f"| `{tag.name}` | tag | | {tag.meaning} |"
    for field in each.fields:
        yield f"| `{field.name}` | {field.type} | {field.unit} | {field.meaning} |"
    yield ""


def _span(seconds: int) -> str:
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {name}"
    return f"{seconds} s"


if __name__ == "__main__":
    write()

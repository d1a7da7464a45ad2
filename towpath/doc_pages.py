"""Generates pages of the documentation from the code. `make docs` writes them; a test
fails if they are out of date."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from typer.main import get_command

from alerts.alert_text import GENERIC_VALUES
from alerts.rule import Rule
from alerts.rule_files import load_rules
from collectors.batch import Batch
from collectors.estate import Estate
from collectors.ingest import IngestConfig
from collectors.personal_data import PLACES, PersonalDataPlace, Root
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Query, Row
from dashboards.query_cache import QueryCache
from dashboards.web import AlertReader, ApiSources, WebConfig
from dashboards.web.api.api_page import BEGIN as OPERATIONS_BEGIN
from dashboards.web.api.api_page import END as OPERATIONS_END
from dashboards.web.api.api_page import operations_table
from dashboards.web.api.api_route import ApiRoute
from dashboards.web.api.api_routes import api_routes
from dashboards.web.api.live_updates import LiveUpdates
from dashboards.web.overview_cache import OverviewCache
from dashboards.web.page_views import Views
from probes.wire.catalogue import Catalogue, Measurement
from probes.wire.durations import exact_duration_text
from towpath.cli import app
from towpath.dpia_tables import (
    DIAGRAM_BEGIN,
    DIAGRAM_END,
    FLOWS_HEAD,
    ITEMS_HEAD,
    flows_diagram,
    flows_table,
    items_table,
)
from towpath.man_page import PAGE, man_page

DOCS = Path(__file__).parents[1] / "docs"
_PLACES_HEAD = "| what | where | how long | erased |\n"
_ROOTS: dict[Root, str] = {
    "journal": "<state>/journal",
    "store": "<state>/store",
    "bodies": "<state>/aside/ingest",
    "registry": "<state>",
    "api": "<state>",
    "broker": "<state>/broker",
}
_RULES_HEAD = (
    "| rule | severity | owner | it means, and why that happens | do first |\n"
)


def catalogue_page(catalogue: Catalogue) -> str:
    """`docs/catalogue.md`: every measurement with its tags and fields."""
    shared = [m for m in catalogue if not m.personal]
    personal = [m for m in catalogue if m.personal]
    lines = [
        "# The catalogue",
        "",
        "Every measurement of Towpath, generated from the code (`make docs`). Rules,",
        "dashboards and reports can only query these.",
        "",
        "Flags are 1 (yes) or 0 (no), so their mean is a ratio. A value that was not",
        "measured is absent, never 0. If a value is weighted, its mean counts each row",
        "by that weight: a mean of calls by the number of calls.",
        "",
        "## About the network and Towpath itself",
        "",
    ]
    for measurement in shared:
        lines += _measurement_lines(measurement)
    lines += [
        "## About one laptop (personal data)",
        "",
        "Kept in a separate database. Shared pages never query these. They query",
        "`experience`, in which every group has at least `groups.least` laptops (ten).",
        "",
    ]
    for measurement in personal:
        lines += _measurement_lines(measurement)
    return "\n".join(lines).rstrip() + "\n"


def write() -> None:
    (DOCS / "catalogue.md").write_text(catalogue_page(CATALOGUE), encoding="utf-8")
    PAGE.write_text(man_page(get_command(app)), encoding="utf-8")
    _replace_table("on-call.md", _RULES_HEAD, rules_table(load_rules(CATALOGUE)))
    _replace_table("privacy.md", _PLACES_HEAD, places_table(PLACES))
    _replace_table("dpia.md", ITEMS_HEAD, items_table(CATALOGUE))
    _replace_table("dpia.md", FLOWS_HEAD, flows_table(CATALOGUE, PLACES))
    _replace_between(
        "api.md", OPERATIONS_BEGIN, OPERATIONS_END, operations_table(described_routes())
    )
    _replace_between(
        "dpia.md", DIAGRAM_BEGIN, DIAGRAM_END, flows_diagram(CATALOGUE, PLACES)
    )


class _NoStore:
    async def write(self, batches: list[Batch]) -> None: ...

    async def query(self, query: Query) -> list[Row]:
        return []


def described_routes() -> list[ApiRoute]:
    """The routes of the API, of an installation that has nothing yet."""
    standing = Path("alerts.sqlite")
    sources = ApiSources(
        standing,
        lambda: (load_rules(CATALOGUE), Estate()),
        Estate,
        IngestConfig(),
        "UTC",
    )
    answers = QueryCache(_NoStore(), lambda: 0)
    views = Views(Estate, AlertReader(standing), answers, lambda: 0)
    overviews = OverviewCache(views)
    updates = LiveUpdates(overviews)
    return api_routes(sources, views, _NoStore(), WebConfig(), overviews, updates)


def _replace_table(page: str, head: str, table: str) -> None:
    """Replaces the table of the page that begins with `head`."""
    path = DOCS / page
    before, _, rest = path.read_text(encoding="utf-8").partition(head)
    after = re.sub(r"\A(\|.*\n)*", "", rest)
    path.write_text(before + table + after, encoding="utf-8")


def _replace_between(page: str, begin: str, end: str, text: str) -> None:
    """Replaces what the page has between two lines."""
    path = DOCS / page
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    path.write_text(before + begin + text + end + after, encoding="utf-8")


def places_table(places: Iterable[PersonalDataPlace]) -> str:
    """The table of `docs/privacy.md`, from the list that `erase` uses."""
    lines = [_PLACES_HEAD + "|---|---|---|---|"]
    for place in places:
        where = f"{_ROOTS[place.root]}/{place.glob}"
        lines.append(f"| {place.holds} | `{where}` | {place.kept} | {place.erased} |")
    return "\n".join(lines) + "\n"


def rules_table(rules: Iterable[Rule]) -> str:
    """The table of `docs/on-call.md`, from the rules."""
    lines = [_RULES_HEAD + "|---|---|---|---|---|"]
    for rule in rules:
        owner = rule.owner.replace("_", " ")
        cause, runbook = (
            text.format_map(GENERIC_VALUES).strip()
            for text in (rule.cause, rule.runbook)
        )
        lines.append(
            f"| `{rule.id}` | {rule.severity} | {owner} | **{rule.title}.** {cause} "
            f"| {runbook} |"
        )
    return "\n".join(lines) + "\n"


def _measurement_lines(measurement: Measurement) -> Iterator[str]:
    yield f"### `{measurement.name}`"
    yield ""
    every = exact_duration_text(measurement.period_s).removeprefix("1 ")
    late = exact_duration_text(measurement.lateness_s)
    meaning = measurement.meaning
    yield (
        f"{meaning[0].upper()}{meaning[1:]}. Every {every}; "
        f"kept {measurement.retention_days} days; late after {late}."
    )
    yield ""
    yield "| name | kind | unit | meaning |"
    yield "|---|---|---|---|"
    for tag in measurement.tags:
        yield f"| `{tag.name}` | tag | | {tag.meaning} |"
    for field in measurement.fields:
        weight = f"; weighted by `{field.weight}`" if field.weight else ""
        meaning = field.meaning + weight
        yield f"| `{field.name}` | {field.type} | {field.unit} | {meaning} |"
    yield ""


if __name__ == "__main__":
    write()

"""Panels that compare all lines: their faults, and their suppliers."""

from dashboards.grafana.board import (
    BUSY,
    Calculated,
    Panel,
    PanelQuery,
    RowTest,
    TableColumn,
    column,
    link_to,
    select,
    steps_of_rule,
)
from dashboards.grafana.boards.key_texts import LINE_ROLES
from dashboards.grafana.boards.rule_texts import what_to_do
from dashboards.grafana.boards.site_states import site_id_column

_CHOSEN = {"supplier": "supplier", "site": "site"}
_SEARCH = {"line": "search"}
_TO_SITE = link_to("towpath-site", site=column("site"))

OUTAGES = Panel(
    "Which lines were down?",
    "Lines whose port was down at some time in the selected range, those that were "
    "down longest first; nothing listed is good. Select a site to see when. "
    f"{what_to_do('line_down')}",
    (
        PanelQuery(
            select(
                "line",
                ("up", "mean"),
                ("up", "min"),
                ("circuit_ref", "last"),
                by=("line", "site", "role", "supplier"),
            ),
            variables=_CHOSEN,
            searches=_SEARCH,
        ),
    ),
    "short",
    "table",
    width=24,
    height=7,
    rows_if=(RowTest("up_min", "equal", 0),),
    columns={
        "line": TableColumn("Line"),
        "site": site_id_column(200),
        "role": TableColumn("Role", value_texts=LINE_ROLES, colour="none", width=100),
        "supplier": TableColumn("Supplier", width=200),
        "circuit_ref_last": TableColumn("Circuit", width=160, absent="-"),
        "up_mean": TableColumn("Up", "percentunit", decimals=2, width=110),
        "up_min": TableColumn("Was down", hidden=True),
    },
    sort=("up_mean", False),
)
FAULTS = Panel(
    "Which lines have errors?",
    "Damaged and dropped packets at the port of each line, both directions together, "
    "the worst first. Errors: a bad cable, optic or duplex setting; any is worth a "
    "look. Dropped: a full buffer, so the line or its shaper is too small. Select the "
    f"port to see it. {what_to_do('port_errors')}",
    (
        PanelQuery(
            select(
                "line",
                ("in_errors_per_s", "mean"),
                ("out_errors_per_s", "mean"),
                ("in_discards_per_s", "mean"),
                ("out_discards_per_s", "mean"),
                ("device", "last"),
                ("port", "last"),
                by=("line", "site"),
            ),
            variables=_CHOSEN,
            searches=_SEARCH,
        ),
    ),
    "short",
    "table",
    width=12,
    height=9,
    calculated=(
        Calculated("errors", "in_errors_per_s_mean", "+", "out_errors_per_s_mean"),
        Calculated("drops", "in_discards_per_s_mean", "+", "out_discards_per_s_mean"),
    ),
    columns={
        "line": TableColumn("Line", link=_TO_SITE, width=190),
        "errors": TableColumn(
            "Errors",
            "suffix:/s",
            steps=steps_of_rule("port_errors", field="in_errors_per_s"),
            width=100,
        ),
        "drops": TableColumn("Dropped", "suffix:/s", width=100),
        "device_last": TableColumn("Device", width=150),
        "port_last": TableColumn(
            "Port",
            link=link_to(
                "towpath-port",
                site=column("site"),
                device=column("device_last"),
                port=column("port_last"),
            ),
            link_title="Show this port",
        ),
        "site": TableColumn("Site", hidden=True),
        "in_errors_per_s_mean": TableColumn("Errors in", "suffix:/s", hidden=True),
        "out_errors_per_s_mean": TableColumn("Errors out", "suffix:/s", hidden=True),
        "in_discards_per_s_mean": TableColumn("Dropped in", "suffix:/s", hidden=True),
        "out_discards_per_s_mean": TableColumn("Dropped out", "suffix:/s", hidden=True),
    },
    sort=("errors", True),
    rows_at_most=20,
)

SUPPLIERS = Panel(
    "How do the suppliers compare?",
    "All lines of each supplier over the selected range. Up: the share of polls in "
    "which the port of the line was up. Cost: per year and contracted Mbit/s, both "
    "directions together. A supplier that is dearer and less often up is the one to "
    "talk to.",
    (
        PanelQuery(
            select(
                "line",
                ("up", "mean"),
                ("down_use_ratio", "mean"),
                ("contract_down_bps", "mean"),
                ("contract_up_bps", "mean"),
                ("cost_per_year", "mean"),
                by=("supplier",),
            ),
            variables=_CHOSEN,
            searches=_SEARCH,
        ),
    ),
    "short",
    "table",
    width=12,
    height=9,
    calculated=(
        Calculated("contract", "contract_down_bps_mean", "+", "contract_up_bps_mean"),
        Calculated("megabits", "contract", "/", "1000000"),
        Calculated("cost", "cost_per_year_mean", "/", "megabits"),
    ),
    columns={
        "supplier": TableColumn("Supplier", width=190),
        "up_mean": TableColumn("Up", "percentunit", decimals=3, width=100),
        "down_use_ratio_mean": TableColumn(
            "Use to sites, mean", "percentunit", steps=BUSY, decimals=0, width=140
        ),
        "cost_per_year_mean": TableColumn(
            "Cost a line", "currencyGBP", decimals=1, width=110
        ),
        "cost": TableColumn("Cost a Mbit/s", "currencyGBP", decimals=2, width=120),
        "contract_down_bps_mean": TableColumn("To", "bps", hidden=True),
        "contract_up_bps_mean": TableColumn("From", "bps", hidden=True),
        "contract": TableColumn("Contract", "bps", hidden=True),
        "megabits": TableColumn("Mbit/s", "short", hidden=True),
    },
    sort=("up_mean", False),
)

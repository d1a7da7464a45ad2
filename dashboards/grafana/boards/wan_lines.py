"""All WAN lines: use against contract, headroom, backups, faults, suppliers, cost."""

from collectors.store.query import Where
from dashboards.grafana.board import (
    BUSY,
    UP,
    WORST_FIRST,
    Board,
    BoardRow,
    Calculated,
    Panel,
    PanelLink,
    PanelQuery,
    RowTest,
    TableColumn,
    Variable,
    busiest,
    column,
    label,
    link_to,
    search_box,
    select,
    sites,
)
from dashboards.grafana.boards.billed_percentiles import ESTIMATED, percentiles
from dashboards.grafana.boards.ip_sla_panels import (
    IP_SLA,
    IP_SLA_LOSS,
    IP_SLA_ROUND_TRIP,
    SLOWEST,
)
from dashboards.grafana.boards.key_texts import LINE_ROLES
from dashboards.grafana.boards.rule_texts import what_to_do
from dashboards.grafana.boards.site_line_panels import STANDBY
from dashboards.grafana.boards.site_states import site_id_column
from dashboards.grafana.boards.wan_comparisons import FAULTS, OUTAGES, SUPPLIERS

_CHOSEN = {"supplier": "supplier", "site": "site"}
_SEARCH = {"line": "search"}
_TO_SITE = link_to("towpath-site", site=column("site"))
_LINE_TO_SITE = PanelLink(
    "Show this line's site", link_to("towpath-site", site=label("site"))
)

LINES_DOWN = Panel(
    "Which lines are down?",
    "Lines whose port is down now. None is good. "
    f"If there is one: {what_to_do('line_down')}",
    (
        PanelQuery(
            select("line", ("up", "last"), by=("line", "site")),
            variables=_CHOSEN,
            searches=_SEARCH,
        ),
    ),
    "short",
    "stat",
    width=12,
    height=5,
    columns={
        "line": TableColumn("Line", link=_TO_SITE),
        "site": TableColumn("Site"),
        "up_last": TableColumn("State"),
    },
    value_texts=UP,
    tile="line",
    rows_if=(RowTest("up_last", "equal", 0),),
    newest=True,
    no_value="None is down",
)
ON_BACKUP = Panel(
    "Which sites are on a backup line?",
    "Backup lines that carry traffic now: their primary line does not. None is good. "
    f"If there is one: {what_to_do('on_backup_line')}",
    (
        PanelQuery(
            select(
                "line",
                ("carrying", "last"),
                by=("line", "site"),
                where=(Where("role", ("backup",)),),
            ),
            variables=_CHOSEN,
            searches=_SEARCH,
        ),
    ),
    "short",
    "stat",
    width=12,
    height=5,
    columns={
        "line": TableColumn("Line", link=_TO_SITE),
        "site": TableColumn("Site"),
        "carrying_last": TableColumn("State"),
    },
    value_texts=STANDBY,
    tile="line",
    rows_if=(RowTest("carrying_last", "equal", 1),),
    newest=True,
    no_value="None is in use",
)
BUSIEST_NOW = Panel(
    "Which lines are busiest now?",
    "The ten busiest lines of the last minutes, towards the site and from it, as a "
    "share of the contracted speed. Above 85% calls start to suffer. "
    f"{what_to_do('line_full_down')}",
    (
        PanelQuery(
            select(
                "line",
                ("down_use_ratio", "mean"),
                ("up_use_ratio", "mean"),
                ("down_bps", "mean"),
                ("up_bps", "mean"),
                by=("line", "site"),
            ),
            variables=_CHOSEN,
            searches=_SEARCH,
        ),
    ),
    "short",
    "table",
    width=24,
    height=8,
    columns={
        "line": TableColumn("Line", width=260),
        "site": site_id_column(220),
        "down_use_ratio_mean": TableColumn(
            "To the site", "percentunit", steps=BUSY, gauge=True, decimals=0
        ),
        "up_use_ratio_mean": TableColumn(
            "From the site", "percentunit", steps=BUSY, gauge=True, decimals=0
        ),
        "down_bps_mean": TableColumn("To the site, rate", "bps", width=140),
        "up_bps_mean": TableColumn("From the site, rate", "bps", width=140),
    },
    sort=("down_use_ratio_mean", True),
    rows_at_most=10,
    newest=True,
)
BANDWIDTH = Panel(
    "Which line needs more bandwidth?",
    "One row per line over the selected range; select 30 days for a decision. Free: "
    "the part of the contracted rate that is above p95. A p95 above 85% towards the "
    "site on working days: the line is too small. A p95 below a third for months: it "
    f"is larger than needed. {ESTIMATED}",
    (
        PanelQuery(
            percentiles(
                "line",
                ("down_use_ratio", "p95"),
                ("up_use_ratio", "p95"),
                # By more tags it takes InfluxDB twice as long. Rows are merged by line.
                by=("line",),
            ),
            variables=_CHOSEN,
            searches=_SEARCH,
            estimated=True,
        ),
        PanelQuery(
            select(
                "line",
                ("contract_down_bps", "last"),
                ("contract_up_bps", "last"),
                ("cost_per_year", "last"),
                ("contract_end_ms", "last"),
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
    height=12,
    calculated=(
        Calculated("down_p95", "contract_down_bps_last", "*", "down_use_ratio_p95"),
        Calculated("up_p95", "contract_up_bps_last", "*", "up_use_ratio_p95"),
        Calculated("down_free", "contract_down_bps_last", "-", "down_p95"),
        Calculated("up_free", "contract_up_bps_last", "-", "up_p95"),
    ),
    columns={
        "line": TableColumn("Line", link=_TO_SITE, width=220),
        "site": TableColumn("Site", hidden=True),
        "role": TableColumn("Role", value_texts=LINE_ROLES, colour="none", width=80),
        "supplier": TableColumn("Supplier", width=150),
        "down_use_ratio_p95": TableColumn(
            "To the site, p95", "percentunit", steps=BUSY, gauge=True, decimals=0
        ),
        "up_use_ratio_p95": TableColumn(
            "From the site, p95", "percentunit", steps=BUSY, gauge=True, decimals=0
        ),
        "down_p95": TableColumn("To, p95", "bps", hidden=True),
        "up_p95": TableColumn("From, p95", "bps", hidden=True),
        "contract_down_bps_last": TableColumn("Contract to", "bps", width=110),
        "contract_up_bps_last": TableColumn("Contract from", "bps", hidden=True),
        "down_free": TableColumn("Free to", "bps", width=100),
        "up_free": TableColumn("Free from", "bps", width=100),
        "cost_per_year_last": TableColumn(
            "Cost a year", "currencyGBP", decimals=1, width=100, absent="not recorded"
        ),
        "contract_end_ms_last": TableColumn(
            "Contract ends", "time:D MMM YYYY", width=120, absent="not recorded"
        ),
        "circuit_ref_last": TableColumn("Circuit", width=120, absent="-"),
    },
    sort=("down_use_ratio_p95", True),
)


def _use_over_time(title: str, field: str) -> Panel:
    return Panel(
        title,
        "Mean of each interval, as a share of the contracted speed, of the "
        "twelve busiest lines; choose a supplier or site, or type part of a "
        "line's name, to see fewer. A line that is down has no value. Dashed: where "
        f"the rule starts. {what_to_do('line_full_down')}",
        (
            PanelQuery(
                select("line", (field, "mean"), by=("line", "site")),
                "$tag_line",
                {**_CHOSEN, "line": "busiest"},
            ),
        ),
        "percentunit",
        steps=BUSY,
        soft_minimum=0,
        soft_maximum=1,
        legend=WORST_FIRST,
        link=_LINE_TO_SITE,
        height=10,
    )


USE_DOWN = _use_over_time("How full are the lines towards the site?", "down_use_ratio")
USE_UP = _use_over_time("How full are the lines from the site?", "up_use_ratio")
STATES = Panel(
    "When were lines down?",
    "Lines that match the search: type part of a name to see fewer. Red: the port at "
    "the end of the line was down for at least one poll of the interval. Gap: not "
    f"observed, such as while its router did not answer. {what_to_do('line_down')}",
    (
        PanelQuery(
            select("line", ("up", "min"), by=("line",)),
            "$tag_line",
            _CHOSEN,
            searches=_SEARCH,
        ),
    ),
    "short",
    "state-timeline",
    width=24,
    height=12,
    value_texts=UP,
)
BACKUPS = Panel(
    "When did backup lines carry traffic?",
    "Orange: a backup line carried more than keep-alives, so its primary line did "
    "not. A backup that never carries anything was never tried: plan a test. "
    f"{what_to_do('on_backup_line')}",
    (
        PanelQuery(
            select(
                "line",
                ("carrying", "max"),
                by=("line",),
                where=(Where("role", ("backup",)),),
            ),
            "$tag_line",
            _CHOSEN,
            searches=_SEARCH,
        ),
    ),
    "short",
    "state-timeline",
    width=24,
    height=8,
    value_texts=STANDBY,
)
WAN = Board(
    "towpath-wan",
    "WAN",
    "All WAN lines: which is down, full, faulty or too small, and what it costs.",
    (
        BoardRow("Now", (LINES_DOWN, ON_BACKUP, BUSIEST_NOW)),
        BoardRow("Bandwidth", (BANDWIDTH, USE_DOWN, USE_UP)),
        BoardRow("Faults and suppliers", (OUTAGES, FAULTS, SUPPLIERS)),
        BoardRow("State over time", (STATES,), collapsed=True),
        BoardRow("Backup lines", (BACKUPS,), collapsed=True),
        BoardRow("IP SLA", (IP_SLA, IP_SLA_ROUND_TRIP, IP_SLA_LOSS), collapsed=True),
    ),
    (
        Variable("supplier", "Supplier", "line", "supplier"),
        sites(),
        search_box("search", "Search lines"),
        busiest(
            "busiest",
            "Busiest lines",
            select(
                "line", ("down_use_ratio", "max"), ("up_use_ratio", "max"), by=("line",)
            ),
            12,
            _CHOSEN,
            _SEARCH,
        ),
        SLOWEST,
    ),
    since="now-7d",
    links=("towpath-estate",),
)

"""Towpath's own health: silence is the classic failure of a monitor."""

from dashboards.grafana.board import (
    AMBER,
    GREEN,
    RED,
    Board,
    BoardRow,
    Panel,
    PanelQuery,
    select,
)

_PROCESS = ("process",)

POLLS = Panel(
    "Polls per minute",
    "Due, done and failed. If done is below due, the poller does not keep up.",
    (
        PanelQuery(
            select("self_poll", ("expected", "mean"), by=_PROCESS), "$tag_process due"
        ),
        PanelQuery(
            select("self_poll", ("done", "mean"), by=_PROCESS), "$tag_process done"
        ),
        PanelQuery(
            select("self_poll", ("failed", "mean"), by=_PROCESS), "$tag_process failed"
        ),
        PanelQuery(
            select("self_poll", ("skipped", "mean"), by=_PROCESS),
            "$tag_process skipped",
        ),
    ),
    "short",
    minimum=0,
)
LATE = Panel(
    "Poll lateness",
    "How late polls start, 99th percentile.",
    (
        PanelQuery(
            select("self_poll", ("late_p99_ms", "max"), by=_PROCESS), "$tag_process"
        ),
    ),
    "ms",
    steps=((None, GREEN), (1000, AMBER), (10_000, RED)),
    minimum=0,
)
LAG = Panel(
    "Readers behind the journal",
    "Age of the oldest batch that each reader has yet to process. If it grows, the "
    "store does not keep up or is down.",
    (
        PanelQuery(
            select("self_reader", ("lag_s", "max"), by=("process", "reader")),
            "$tag_process $tag_reader",
        ),
    ),
    "s",
    steps=((None, GREEN), (60, AMBER), (600, RED)),
    minimum=0,
)
JOURNAL = Panel(
    "Journal size",
    "Size of each process's journal on disk.",
    (
        PanelQuery(
            select("self_journal", ("bytes", "last"), by=_PROCESS), "$tag_process"
        ),
    ),
    "decbytes",
    minimum=0,
)
REFUSED_OR_LOST = Panel(
    "Quarantined or lost",
    "Rows that do not fit the catalogue, rows that a reader quarantined, and bytes "
    "deleted unread, since the start. Each line should stay flat.",
    (
        PanelQuery(
            select("self_journal", ("dead_rows", "last"), by=_PROCESS),
            "$tag_process not in the catalogue",
        ),
        PanelQuery(
            select("self_reader", ("aside_rows", "last"), by=("process", "reader")),
            "$tag_process quarantined by $tag_reader",
        ),
        PanelQuery(
            select("self_journal", ("dropped_bytes", "last"), by=_PROCESS),
            "$tag_process bytes lost",
        ),
    ),
    "short",
    minimum=0,
)
COMMIT_TIME = Panel(
    "Commit time",
    "Time to write and fsync a batch, 99th percentile: the speed of the disk.",
    (
        PanelQuery(
            select("self_journal", ("commit_p99_ms", "max"), by=_PROCESS),
            "$tag_process",
        ),
    ),
    "ms",
    steps=((None, GREEN), (100, AMBER), (1000, RED)),
    minimum=0,
)
INGEST = Panel(
    "Reports from laptops",
    "Accepted, refused and unauthorised since the start. The slope is the rate.",
    (
        PanelQuery(
            select("self_ingest", ("accepted", "last"), by=("process", "transport")),
            "$tag_process $tag_transport accepted",
        ),
        PanelQuery(
            select("self_ingest", ("refused", "last"), by=("process", "transport")),
            "$tag_process $tag_transport refused",
        ),
        PanelQuery(
            select(
                "self_ingest", ("unauthorised", "last"), by=("process", "transport")
            ),
            "$tag_process $tag_transport unauthorised",
        ),
    ),
    "short",
    minimum=0,
)
AGENTS = Panel(
    "Laptops expected and reporting",
    "Expected: enrolled, and reported within 30 days. Reporting: in the last hour.",
    (
        PanelQuery(
            select("self_agents", ("expected", "last"), by=("home_site",)),
            "$tag_home_site expected",
        ),
        PanelQuery(
            select("self_agents", ("heard", "last"), by=("home_site",)),
            "$tag_home_site reporting",
        ),
    ),
    "short",
    minimum=0,
)
NOTIFY = Panel(
    "Notifications",
    "Failed attempts since the start, and pages waiting for delivery.",
    (
        PanelQuery(
            select("self_notify", ("failed", "last"), by=("process", "channel")),
            "$tag_process $tag_channel failed",
        ),
        PanelQuery(
            select("self_notify", ("waiting", "last"), by=("process", "channel")),
            "$tag_process $tag_channel waiting",
        ),
    ),
    "short",
    steps=((None, GREEN), (1, AMBER)),
    minimum=0,
)

TOWPATH_ITSELF = Board(
    "towpath-itself",
    "Towpath itself",
    "Does the monitor keep up, lose nothing, and reach people?",
    (
        BoardRow("Polling", (POLLS, LATE)),
        BoardRow("Journal and readers", (LAG, JOURNAL, REFUSED_OR_LOST, COMMIT_TIME)),
        BoardRow("Laptops and pages", (INGEST, AGENTS, NOTIFY)),
    ),
)

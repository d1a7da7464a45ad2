"""Towpath about itself: silence is the classic failure of a monitor."""

from dashboards.grafana.board import (
    AMBER,
    GREEN,
    RED,
    Board,
    BoardRow,
    Panel,
    PanelQuery,
    ask,
)

_PROCESS = ("process",)

POLLS = Panel(
    "Polls a minute",
    "Due, done and failed. Done below due means the poller does not keep up.",
    (
        PanelQuery(
            ask("self_poll", ("expected", "mean"), by=_PROCESS), "$tag_process due"
        ),
        PanelQuery(
            ask("self_poll", ("done", "mean"), by=_PROCESS), "$tag_process done"
        ),
        PanelQuery(
            ask("self_poll", ("failed", "mean"), by=_PROCESS), "$tag_process failed"
        ),
        PanelQuery(
            ask("self_poll", ("skipped", "mean"), by=_PROCESS), "$tag_process skipped"
        ),
    ),
    "short",
    least=0,
)
LATE = Panel(
    "Poll lateness",
    "99th percentile of polls' start after their planned time.",
    (
        PanelQuery(
            ask("self_poll", ("late_p99_ms", "max"), by=_PROCESS), "$tag_process"
        ),
    ),
    "ms",
    steps=((None, GREEN), (1000, AMBER), (10_000, RED)),
    least=0,
)
LAG = Panel(
    "Readers behind the journal",
    "Age of the oldest batch each reader has not passed. A growing line: the store "
    "does not take what is written.",
    (
        PanelQuery(
            ask("self_reader", ("lag_s", "max"), by=("process", "reader")),
            "$tag_process $tag_reader",
        ),
    ),
    "s",
    steps=((None, GREEN), (60, AMBER), (600, RED)),
    least=0,
)
JOURNAL = Panel(
    "Journal on disk",
    "Size of each process's journal.",
    (PanelQuery(ask("self_journal", ("bytes", "last"), by=_PROCESS), "$tag_process"),),
    "decbytes",
    least=0,
)
LOST = Panel(
    "Set aside or dropped",
    "Rows not in the catalogue, rows a reader could not digest, bytes dropped unread: "
    "each should stay level. They count since the start.",
    (
        PanelQuery(
            ask("self_journal", ("dead_rows", "last"), by=_PROCESS),
            "$tag_process dead letter",
        ),
        PanelQuery(
            ask("self_reader", ("aside_rows", "last"), by=("process", "reader")),
            "$tag_process set aside by $tag_reader",
        ),
        PanelQuery(
            ask("self_journal", ("dropped_bytes", "last"), by=_PROCESS),
            "$tag_process bytes dropped",
        ),
    ),
    "short",
    least=0,
)
COMMIT = Panel(
    "Time to make durable",
    "99th percentile of write and fsync: the disk's own speed.",
    (
        PanelQuery(
            ask("self_journal", ("commit_p99_ms", "max"), by=_PROCESS), "$tag_process"
        ),
    ),
    "ms",
    steps=((None, GREEN), (100, AMBER), (1000, RED)),
    least=0,
)
INGEST = Panel(
    "Reports from laptops",
    "Accepted, refused and unauthorised since the start; a slope is a rate.",
    (
        PanelQuery(
            ask("self_ingest", ("accepted", "last"), by=("process", "transport")),
            "$tag_process $tag_transport accepted",
        ),
        PanelQuery(
            ask("self_ingest", ("refused", "last"), by=("process", "transport")),
            "$tag_process $tag_transport refused",
        ),
        PanelQuery(
            ask("self_ingest", ("unauthorised", "last"), by=("process", "transport")),
            "$tag_process $tag_transport unauthorised",
        ),
    ),
    "short",
    least=0,
)
AGENTS = Panel(
    "Laptops expected and heard",
    "Expected: enrolled and seen in 30 days. Heard: in the last hour.",
    (
        PanelQuery(
            ask("self_agents", ("expected", "last"), by=("home_site",)),
            "$tag_home_site expected",
        ),
        PanelQuery(
            ask("self_agents", ("heard", "last"), by=("home_site",)),
            "$tag_home_site heard",
        ),
    ),
    "short",
    least=0,
)
NOTIFY = Panel(
    "Notifications",
    "Failed tries since the start, and pages not delivered yet.",
    (
        PanelQuery(
            ask("self_notify", ("failed", "last"), by=("process", "channel")),
            "$tag_process $tag_channel failed",
        ),
        PanelQuery(
            ask("self_notify", ("waiting", "last"), by=("process", "channel")),
            "$tag_process $tag_channel waiting",
        ),
    ),
    "short",
    steps=((None, GREEN), (1, AMBER)),
    least=0,
)

ITSELF = Board(
    "towpath-itself",
    "Towpath itself",
    "Whether the monitor keeps up, loses nothing and reaches people.",
    (
        BoardRow("Polling", (POLLS, LATE)),
        BoardRow("Journal and readers", (LAG, JOURNAL, LOST, COMMIT)),
        BoardRow("Laptops and pages", (INGEST, AGENTS, NOTIFY)),
    ),
)

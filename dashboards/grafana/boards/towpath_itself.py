"""Towpath's own health: silence is the classic failure of a monitor."""

from dashboards.grafana.board import (
    AMBER,
    GREEN,
    PLAIN,
    RED,
    Board,
    BoardRow,
    Panel,
    PanelQuery,
    TableColumn,
    select,
    steps_of_rule,
)
from dashboards.grafana.boards.counter_tables import (
    CHANGED_REPORTS,
    CLOSED_BY_INGEST,
    CLOSED_BY_WEB,
    JOURNALS,
    READERS,
    REFUSED_REPORTS,
    REPEATED,
    TRAP_COUNTS,
    TRAPS,
)
from dashboards.grafana.boards.machine_panels import MACHINES
from dashboards.grafana.boards.nats_panels import SEVERAL_MACHINES
from dashboards.grafana.boards.newest_rows import newest_rows
from dashboards.grafana.boards.notification_panels import CHANNELS, IS_HEARD
from dashboards.grafana.boards.recorded_call_panels import COUNTS, READING
from dashboards.grafana.boards.rule_texts import what_to_do

_PROCESS = ("process",)

IS_BLIND = Panel(
    "Does Towpath see the network?",
    "Cut off: none of the devices that a poller polls answers, so Towpath itself has "
    "lost its network; until it is back, ignore what boards show about devices. No "
    f"poller reports: {what_to_do('monitor_blind')}",
    (PanelQuery(select("self_poll", ("cut_off", "max"))),),
    "short",
    "stat",
    width=4,
    height=4,
    value_texts={0: ("Yes", GREEN), 1: ("Cut off", RED)},
    newest=True,
    tiles=True,
    no_value="No poller reports",
)
IS_LATE = Panel(
    "Do polls start on time?",
    "How late polls start, 99th percentile of the slowest process. "
    f"If it is not green: {what_to_do('polls_late')}",
    (PanelQuery(select("self_poll", ("late_p99_ms", "max"))),),
    "ms",
    "stat",
    width=4,
    height=4,
    steps=steps_of_rule("polls_late"),
    decimals=0,
    newest=True,
    tiles=True,
    no_value="No poller reports",
)
IS_BEHIND = Panel(
    "Do the readers keep up?",
    "Age of the oldest batch that a reader of the journal has yet to process. "
    f"If it is not green: {what_to_do('reader_behind')}",
    (PanelQuery(select("self_reader", ("lag_s", "max"))),),
    "s",
    "stat",
    width=4,
    height=4,
    steps=steps_of_rule("reader_behind"),
    decimals=0,
    newest=True,
    tiles=True,
    no_value="No reader reports",
)
IS_FULL = Panel(
    "When is a disk full?",
    "Hours until the first disk that Towpath writes to is full, by its trend. "
    f"If it is not green: {what_to_do('disk_filling')}",
    (PanelQuery(select("self_disk", ("hours_left", "min"))),),
    "h",
    "stat",
    width=4,
    height=4,
    steps=steps_of_rule("disk_filling", "disk_full_soon"),
    decimals=0,
    newest=True,
    tiles=True,
    no_value="No disk is filling",
)
RECEIVES_TRAPS = Panel(
    "Are traps received?",
    "Whether every trap receiver has its port. "
    f"If not: {what_to_do('traps_not_heard')}",
    (PanelQuery(select("self_traps", ("listening", "min"))),),
    "short",
    "stat",
    width=4,
    height=4,
    value_texts={1: ("Yes", GREEN), 0: ("No", RED)},
    newest=True,
    tiles=True,
    no_value="Switched off",
)
SEES_OVER_TIME = Panel(
    "When was it cut off?",
    "Cut off: none of a poller's devices answered, so Towpath itself had lost its "
    "network. Gap: the process did not report. Boards and reports leave that time out.",
    (PanelQuery(select("self_poll", ("cut_off", "max"), by=_PROCESS), "$tag_process"),),
    "short",
    "state-timeline",
    width=24,
    height=5,
    value_texts={0: ("sees the network", GREEN), 1: ("cut off", AMBER)},
)
POLLS = Panel(
    "Are all polls done that are due?",
    "Polls due and done per minute, by each poller. Done below due: it does not keep "
    "up. Failed: devices that did not answer. "
    f"If polls are skipped: {what_to_do('polls_skipped')}",
    tuple(
        PanelQuery(
            select("self_poll", (field, "mean"), by=_PROCESS),
            f"$tag_process: {label}",
            colour=colour,
        )
        for field, label, colour in (
            ("expected", "due", ""),
            ("done", "done", ""),
            ("failed", "failed", RED),
            ("skipped", "skipped", AMBER),
        )
    ),
    "short",
    soft_minimum=0,
    decimals=0,
)
LATE = Panel(
    "How late do polls start?",
    "99th percentile of each process. It rises before polls are skipped.",
    (
        PanelQuery(
            select("self_poll", ("late_p99_ms", "max"), by=_PROCESS), "$tag_process"
        ),
    ),
    "ms",
    steps=steps_of_rule("polls_late"),
    soft_minimum=0,
)
LAG = Panel(
    "How far are the readers behind?",
    "Age of the oldest batch that each reader has yet to process. If the store's "
    "grows, the database is down or too slow; nothing is lost until the journal is "
    "full.",
    (
        PanelQuery(
            select("self_reader", ("lag_s", "max"), by=("process", "reader")),
            "$tag_process $tag_reader",
        ),
    ),
    "s",
    steps=steps_of_rule("reader_behind"),
    soft_minimum=0,
)
JOURNAL = Panel(
    "How large is the journal?",
    "Size on disk. It shrinks as the readers advance; if it grows for hours, look at "
    "how far the readers are behind.",
    (
        PanelQuery(
            select("self_journal", ("bytes", "max"), by=_PROCESS), "$tag_process"
        ),
    ),
    "decbytes",
    steps=PLAIN,
    soft_minimum=0,
)
LOSSES = Panel(
    "Was anything lost or refused?",
    "Counted since each process started, so a step is a loss and a fall is a restart. "
    "Every line should stay flat. Dropped unread: measurements lost for good. Not in "
    "the catalogue: parts of Towpath run different versions. Quarantined: the "
    f"database refuses rows. {what_to_do('journal_dropping')}",
    (
        PanelQuery(
            select("self_journal", ("dropped_rows", "max"), by=_PROCESS),
            "$tag_process: dropped unread",
        ),
        PanelQuery(
            select("self_journal", ("refused_rows", "max"), by=_PROCESS),
            "$tag_process: not written",
        ),
        PanelQuery(
            select("self_journal", ("dead_rows", "max"), by=_PROCESS),
            "$tag_process: not in the catalogue",
        ),
        PanelQuery(
            select("self_reader", ("aside_rows", "max"), by=("process", "reader")),
            "$tag_process: quarantined by $tag_reader",
        ),
        PanelQuery(
            select("self_traps", ("lost", "max"), by=_PROCESS),
            "$tag_process: traps lost",
        ),
    ),
    "short",
    steps=PLAIN,
    soft_minimum=0,
    soft_maximum=1,
    decimals=0,
)
COMMIT_TIME = Panel(
    "How fast is the disk?",
    "Time to write a batch durably (write and fsync), 99th percentile. A healthy disk "
    "takes some milliseconds; above a second, sources have to wait.",
    (
        PanelQuery(
            select("self_journal", ("commit_p99_ms", "max"), by=_PROCESS),
            "$tag_process",
        ),
    ),
    "ms",
    steps=PLAIN,
    soft_minimum=0,
)
DISKS = Panel(
    "How much room is left?",
    "Each disk that Towpath writes to, the fullest first by the time that is left. No "
    f"time: it is not filling. If one is: {what_to_do('disk_full_soon')}",
    newest_rows(
        "self_disk",
        "hours_left",
        "free_bytes",
        "size_bytes",
        "full",
        by=("process", "folder"),
    ),
    "short",
    "table",
    width=10,
    height=7,
    columns={
        "folder": TableColumn("Disk of"),
        "process": TableColumn("Process", width=95),
        "full_last": TableColumn(
            "State",
            value_texts={0: ("has room", GREEN), 1: ("full", RED)},
            width=90,
        ),
        "hours_left_last": TableColumn(
            "Full in",
            "h",
            steps=steps_of_rule("disk_filling", "disk_full_soon"),
            decimals=0,
            width=100,
            absent="not filling",
        ),
        "free_bytes_last": TableColumn("Free", "decbytes", width=95),
        "size_bytes_last": TableColumn("Size", "decbytes", width=100),
    },
    sort=("free_bytes_last", False),
    newest=True,
)
CERTIFICATES = Panel(
    "When do Towpath's certificates expire?",
    "The files of certificates that its settings name, the first to expire first. What "
    "laptops are shown counts as a chain; of authorities that Towpath trusts the last "
    f"counts. If one expires soon: {what_to_do('own_certificate_expiring')}",
    newest_rows(
        "self_certificate",
        "certificate_days",
        "readable",
        "file",
        by=("process", "setting"),
    ),
    "short",
    "table",
    width=12,
    height=7,
    columns={
        "setting": TableColumn("Setting", width=220),
        "process": TableColumn("Process", width=110),
        "readable_last": TableColumn(
            "State",
            value_texts={1: ("readable", GREEN), 0: ("unreadable", RED)},
            width=100,
        ),
        "certificate_days_last": TableColumn(
            "Expires in",
            "d",
            steps=steps_of_rule(
                "own_certificate_expiring", "own_certificate_nearly_expired"
            ),
            decimals=0,
            width=110,
            absent="unknown",
        ),
        "file_last": TableColumn("File", width=220),
    },
    sort=("certificate_days_last", False),
    newest=True,
)
AGENTS = Panel(
    "Which sites' laptops have stopped reporting?",
    "Laptops that are enrolled and reported within 30 days, and those that reported in "
    "the last hour or two, rounded up to 5. Sites of too few have no count of their "
    "own: “small sites” are all of them together. Laptops sleep, so few report at "
    f"night; if all are silent in working hours: {what_to_do('agents_silent')}",
    newest_rows("self_agents", "expected", "heard", by=("home_site",)),
    "short",
    "table",
    width=12,
    height=8,
    columns={
        "home_site": TableColumn("Home site"),
        "heard_last": TableColumn(
            "Reporting", "short", decimals=0, width=130, absent="too few"
        ),
        "expected_last": TableColumn(
            "Enrolled", "short", decimals=0, width=130, absent="too few"
        ),
    },
    sort=("heard_last", False),
    newest=True,
)
INGEST = Panel(
    "Do laptops' reports arrive?",
    "Counted since each process started: the slope is the rate, and a fall is a "
    "restart. Accepted should rise steadily; the others should stay flat. Refused: a "
    "report could not be read or did not fit. Without a credential: somebody else "
    "tries, or an agent has lost its own. Turned away: too many at once, they try "
    "again.",
    tuple(
        PanelQuery(
            select("self_ingest", (field, "max"), by=("process", "transport")),
            f"$tag_process $tag_transport: {label}",
        )
        for field, label in (
            ("accepted", "accepted"),
            ("refused", "refused"),
            ("unauthorised", "without a credential"),
            ("turned_away", "turned away"),
        )
    ),
    "short",
    steps=PLAIN,
    soft_minimum=0,
)
TOWPATH_ITSELF = Board(
    "towpath-itself",
    "Towpath itself",
    "Does the monitor see the network, keep up, lose nothing, and reach people?",
    (
        BoardRow(
            "Now",
            (IS_BLIND, IS_LATE, IS_BEHIND, IS_FULL, IS_HEARD, RECEIVES_TRAPS),
        ),
        BoardRow("Polling", (SEES_OVER_TIME, POLLS, LATE)),
        BoardRow("Journal, store and disks", (LAG, LOSSES, JOURNAL, COMMIT_TIME)),
        BoardRow("Disks and notifications", (DISKS, CHANNELS)),
        SEVERAL_MACHINES,
        MACHINES,
        BoardRow("Certificates", (CERTIFICATES,), collapsed=True),
        BoardRow("Laptops", (INGEST, AGENTS), collapsed=True),
        BoardRow("Microsoft's record of calls", (READING, COUNTS), collapsed=True),
        BoardRow("Traps", (TRAPS, TRAP_COUNTS), collapsed=True),
        BoardRow(
            "Requests, journals and their readers",
            (REPEATED, JOURNALS, READERS),
            collapsed=True,
        ),
        BoardRow(
            "Reports and connections",
            (REFUSED_REPORTS, CHANGED_REPORTS, CLOSED_BY_INGEST, CLOSED_BY_WEB),
            collapsed=True,
        ),
    ),
    links=("towpath-estate", "towpath-alerts"),
)

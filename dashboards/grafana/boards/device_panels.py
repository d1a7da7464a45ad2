"""Panels about one device: whether it answers, what it is, how busy it is."""

from dashboards.grafana.board import (
    AMBER,
    GREEN,
    NEUTRAL,
    PLAIN,
    RED,
    UP,
    Panel,
    PanelQuery,
    RowTest,
    Steps,
    TableColumn,
    cell,
    choice,
    link_to,
    select,
    steps_of_rule,
)
from dashboards.grafana.boards.key_texts import ROLES
from dashboards.grafana.boards.maker_texts import MAKER_TEXTS, SYSTEM_TEXTS
from dashboards.grafana.boards.newest_rows import newest_rows
from dashboards.grafana.boards.rule_texts import what_to_do

_DEVICE = {"device": "device"}
# From a column of ports to the board of one of them.
TO_PORT = link_to("towpath-port", ("site",), device=choice("device"), port=cell())
_ALWAYS: Steps = ((None, AMBER), (1, GREEN))
_NEVER: Steps = ((None, GREEN), (1, AMBER))
MEMORY_STEPS = steps_of_rule("memory_full")
PROCESSOR_STEPS = steps_of_rule("processor_busy")

ANSWERS = Panel(
    "Is it answering?",
    "Whether the last poll was answered, by SNMP or a ping. "
    f"If not: {what_to_do('device_unreachable')}",
    (PanelQuery(select("device", ("answered", "last")), variables=_DEVICE),),
    "none",
    "stat",
    width=4,
    height=4,
    value_texts={1: ("Yes", GREEN), 0: ("No", RED)},
    newest=True,
    tiles=True,
    no_value="Not polled",
)
ANSWERED = Panel(
    "How often did it answer?",
    "Share of polls that it answered in the time range, without the time in which "
    "Towpath itself was cut off. 100 % is good; when it was away is shown below.",
    (PanelQuery(select("device", ("answered", "mean")), variables=_DEVICE),),
    "percentunit",
    "stat",
    width=4,
    height=4,
    steps=_ALWAYS,
    decimals=2,
)
ROUND_TRIP = Panel(
    "How fast is a ping?",
    "Round trip of ICMP echoes over the last minutes, and the share that was lost. "
    "Loss on the council's own network is never normal: check the line or link before "
    "it.",
    (
        PanelQuery(select("device", ("icmp_rtt_ms", "mean")), "round trip", _DEVICE),
        PanelQuery(
            select("device", ("icmp_loss_ratio", "mean")),
            "lost",
            _DEVICE,
            unit="percentunit",
        ),
    ),
    "ms",
    "stat",
    width=4,
    height=4,
    steps=PLAIN,
    decimals=1,
    newest=True,
    no_value="Not pinged",
)
RUNNING = Panel(
    "How long has it run?",
    "Time since it last started, as it reports. Long is not bad by itself, but a "
    "device that runs for years has no recent updates.",
    (PanelQuery(select("device", ("uptime_s", "last")), variables=_DEVICE),),
    "s",
    "stat",
    width=4,
    height=4,
    steps=PLAIN,
    decimals=0,
    newest=True,
    no_value="Not reported",
)
RESTARTS = Panel(
    "How often did it restart?",
    "Number of restarts in the time range. "
    f"If it is not 0: {what_to_do('device_restarted')}",
    (PanelQuery(select("device", ("restarted", "sum")), variables=_DEVICE),),
    "short",
    "stat",
    width=4,
    height=4,
    steps=_NEVER,
    decimals=0,
    no_value="0",
)
PORTS_UP = Panel(
    "How many ports are up?",
    "Ports that are up, and ports that are down but not disabled. Down is normal for "
    "an empty desk; the tiles below show in red which should be up.",
    (
        PanelQuery(select("device", ("ports_up", "last")), "up", _DEVICE),
        PanelQuery(select("device", ("ports_down", "last")), "down", _DEVICE),
    ),
    "short",
    "stat",
    width=4,
    height=4,
    steps=PLAIN,
    decimals=0,
    newest=True,
    no_value="Not reported",
)
HAS_FINDINGS = Panel(
    "Is anything to be put right?",
    "Whether Towpath found something that an engineer should know although nothing is "
    "down, such as counters that are too small or values that cannot be right. If so, "
    "it is in the list of findings below, with what to do.",
    (PanelQuery(select("finding", ("active", "max")), variables=_DEVICE),),
    "none",
    "stat",
    width=4,
    height=4,
    value_texts={1: ("Yes, see findings", AMBER), 0: ("No", GREEN)},
    newest=True,
    no_value="No",
)
INVENTORY = Panel(
    "What is it?",
    "Maker, model, software and serial number, as the device reports them.",
    newest_rows(
        "inventory",
        "name",
        "vendor",
        "hardware",
        "os",
        "version",
        "serial",
        by=("device", "site", "role"),
        variables=_DEVICE,
    ),
    "none",
    "table",
    width=24,
    height=3,
    columns={
        "name_last": TableColumn("Device", width=200),
        "device": TableColumn("Id", width=160),
        "site": TableColumn(
            "Site", width=160, link=link_to("towpath-site", site=cell())
        ),
        "role": TableColumn("Role", value_texts=ROLES, colour="none", width=120),
        "vendor_last": TableColumn(
            "Maker", value_texts=MAKER_TEXTS, colour="none", width=140
        ),
        "hardware_last": TableColumn("Model"),
        "os_last": TableColumn(
            "System", value_texts=SYSTEM_TEXTS, colour="none", width=180
        ),
        "version_last": TableColumn("Software"),
        "serial_last": TableColumn("Serial number"),
    },
    newest=True,
    no_value="It does not report what it is",
)
STATE = Panel(
    "When did it answer?",
    "Green: it answered. Red: it was polled and did not answer. Gap: not observed, "
    "such as while Towpath itself was cut off.",
    (
        PanelQuery(
            select("device", ("answered", "min"), by=("device",)),
            "$tag_device",
            _DEVICE,
        ),
    ),
    "none",
    "state-timeline",
    width=16,
    height=4,
    value_texts=UP,
)
PINGS = Panel(
    "How long did a ping take?",
    "Round trip of ICMP echoes. A rise at busy times is a full line on the way; a step "
    "is another route.",
    (PanelQuery(select("device", ("icmp_rtt_ms", "mean")), "round trip", _DEVICE),),
    "ms",
    soft_minimum=0,
    no_value="Not pinged",
)
PING_LOSS = Panel(
    "How many pings were lost?",
    "Share of ICMP echoes without an answer. Loss with a short round trip: a bad link. "
    "With a long one: a full line.",
    (PanelQuery(select("device", ("icmp_loss_ratio", "mean")), "lost", _DEVICE),),
    "percentunit",
    soft_minimum=0,
    soft_maximum=0.05,
    no_value="Not pinged",
)
POLL_TIME = Panel(
    "How long did a poll take?",
    "Time to read all that is due, and how late a poll started. It rises before a "
    "device stops answering: its processor is busy, or packets are lost.",
    (
        PanelQuery(select("device", ("duration_ms", "mean")), "duration", _DEVICE),
        PanelQuery(select("device", ("late_ms", "max")), "delay", _DEVICE),
    ),
    "ms",
    width=24,
    height=6,
    soft_minimum=0,
)
REQUESTS = Panel(
    "How many requests had to be repeated?",
    "SNMP requests per poll, and those sent again because no answer came in time. Some "
    "now and then are normal. Many: packets are lost on the way, or the device's "
    "processor has no time for SNMP.",
    (
        PanelQuery(select("device", ("packets", "mean")), "sent", _DEVICE),
        PanelQuery(
            select("device", ("retries", "mean")), "repeated", _DEVICE, colour=AMBER
        ),
    ),
    "short",
    width=24,
    height=7,
    soft_minimum=0,
)
PROCESSORS = Panel(
    "How busy is its processor?",
    "Mean of its processors, and the busiest of them. "
    f"If it stays above the line: {what_to_do('processor_busy')}",
    (
        PanelQuery(select("processor", ("use_ratio", "max")), "busiest", _DEVICE),
        PanelQuery(select("processor", ("use_ratio", "mean")), "mean", _DEVICE),
    ),
    "percentunit",
    steps=PROCESSOR_STEPS,
    soft_minimum=0,
    soft_maximum=0.2,
)
_SPACE = {
    "use_ratio_last": TableColumn(
        "In use", "percentunit", steps=MEMORY_STEPS, gauge=True, width=150
    ),
    "use_ratio_min": TableColumn("Lowest", "percentunit", width=85, decimals=0),
    "use_ratio_max": TableColumn("Highest", "percentunit", width=85, decimals=0),
    "used_bytes_last": TableColumn("Used", "decbytes", width=100),
    "total_bytes_last": TableColumn("Size", "decbytes", width=100),
}
MEMORY = Panel(
    "How full is its memory?",
    "Memory pools, the fullest first; lowest and highest of the time range show "
    f"growth. Servers fill their memory on purpose. {what_to_do('memory_full')}",
    (
        PanelQuery(
            select(
                "memory",
                ("use_ratio", "last"),
                ("use_ratio", "min"),
                ("use_ratio", "max"),
                ("used_bytes", "last"),
                ("total_bytes", "last"),
                by=("pool",),
            ),
            variables=_DEVICE,
        ),
    ),
    "percentunit",
    "table",
    columns={"pool": TableColumn("Pool"), **_SPACE},
    sort=("use_ratio_last", True),
)
STORAGE = Panel(
    "How full are its disks?",
    "Disks and flash memory, the fullest first. A full disk stops logs and updates: "
    "remove old software images and logs.",
    (
        PanelQuery(
            select(
                "storage",
                ("use_ratio", "last"),
                ("use_ratio", "min"),
                ("use_ratio", "max"),
                ("used_bytes", "last"),
                ("total_bytes", "last"),
                by=("volume",),
            ),
            variables=_DEVICE,
        ),
    ),
    "percentunit",
    "table",
    columns={"volume": TableColumn("Volume"), **_SPACE},
    sort=("use_ratio_last", True),
)
FINDINGS = Panel(
    "What is to be put right?",
    "Findings of the last minutes: nothing is down, but figures are missing or a "
    f"setting is wrong. {what_to_do('device_finding')}",
    (
        PanelQuery(
            select("finding", ("text", "last"), ("active", "last"), by=("finding",)),
            variables=_DEVICE,
        ),
    ),
    "none",
    "table",
    width=24,
    height=5,
    columns={
        "text_last": TableColumn("Finding"),
        "finding": TableColumn("Key", hidden=True),
        "active_last": TableColumn("Active", hidden=True),
    },
    rows_if=(RowTest("active_last", "equal", 1),),
    newest=True,
    no_value="Nothing",
)
EVENT_LEVELS = {
    0: ("ok", GREEN),
    1: ("information", "blue"),
    2: ("notice", "blue"),
    3: ("warning", AMBER),
    4: ("critical", RED),
}
EVENT_COLUMNS = {
    "last_ms_last": TableColumn("Last received", "dateTimeAsIso", width=170),
    "level_last": TableColumn("Severity", value_texts=EVENT_LEVELS, width=100),
    "text_last": TableColumn("Message"),
    "port": TableColumn("Port", width=175),
    "about": TableColumn("About", width=170),
    "active_last": TableColumn(
        "Now", value_texts={1: ("lasts", AMBER), 0: ("ended", NEUTRAL)}, width=80
    ),
    "count_sum": TableColumn("Times", "short", width=70, decimals=0),
    "event": TableColumn("Event", hidden=True),
}
_EVENTS = select(
    "event",
    ("text", "last"),
    ("level", "last"),
    ("active", "last"),
    ("last_ms", "last"),
    ("count", "sum"),
    by=("event", "port", "about"),
)
EVENTS = Panel(
    "What did it report?",
    "Traps and informs of the time range, the latest first, equal ones counted "
    "together. Nothing here: it sent none, or sends them elsewhere (docs/operator.md).",
    (PanelQuery(_EVENTS, variables=_DEVICE),),
    "none",
    "table",
    width=24,
    height=9,
    columns={
        **EVENT_COLUMNS,
        "port": TableColumn("Port", width=175, link=TO_PORT),
    },
    sort=("last_ms_last", True),
    no_value="None",
)
PORT_EVENTS = Panel(
    "What was reported about this port?",
    "Traps and informs about this port in the time range, the latest first. A port "
    "that goes up and down often: a bad cable, or a device that sleeps.",
    (PanelQuery(_EVENTS, variables={"device": "device", "port": "port"}),),
    "none",
    "table",
    width=24,
    height=7,
    columns={**EVENT_COLUMNS, "port": TableColumn("Port", hidden=True)},
    sort=("last_ms_last", True),
    no_value="None",
)

"""Pollers that share the estate, a journal in NATS and DMZ nodes, on *Towpath
itself*."""

from dashboards.grafana.board import (
    PLAIN,
    BoardRow,
    Panel,
    TableColumn,
    steps_of_rule,
)
from dashboards.grafana.boards.dmz_panels import DMZ_ITSELF, DMZ_NODES
from dashboards.grafana.boards.key_texts import YES_IS_GOOD
from dashboards.grafana.boards.newest_rows import newest_rows
from dashboards.grafana.boards.poller_shares import SHARES, STANDBY
from dashboards.grafana.boards.rule_texts import what_to_do

CONNECTIONS = Panel(
    "Do all processes reach the journal?",
    "If a process does not reach the servers of NATS it can neither write nor read, so "
    "this shows only what was written before. "
    f"If JetStream does not answer: {what_to_do('nats_away')}",
    newest_rows("self_nats", "connected", "answers", by=("process",)),
    "short",
    "table",
    width=6,
    height=7,
    steps=PLAIN,
    columns={
        "process": TableColumn("Process"),
        "connected_last": TableColumn("Connected?", value_texts=YES_IS_GOOD, width=95),
        "answers_last": TableColumn("JetStream?", value_texts=YES_IS_GOOD, width=95),
    },
    sort=("process", True),
    newest=True,
)
STREAMS = Panel(
    "Are the streams well?",
    "No leader: the stream can be neither written nor read, and nothing else is known. "
    f"If replicas are missing: {what_to_do('stream_replicas_few')}",
    newest_rows(
        "self_stream",
        "leader",
        "replicas",
        "replicas_missing",
        "used_ratio",
        "bytes",
        "messages",
        "age_s",
        "unread",
        "slowest",
        by=("process", "stream"),
    ),
    "short",
    "table",
    width=18,
    height=7,
    steps=PLAIN,
    columns={
        "stream": TableColumn("Stream"),
        "leader_last": TableColumn("Leader?", value_texts=YES_IS_GOOD, width=80),
        "replicas_last": TableColumn("Replicas", decimals=0, width=85),
        "replicas_missing_last": TableColumn(
            "Missing",
            decimals=0,
            steps=steps_of_rule("stream_replicas_few"),
            width=80,
        ),
        "used_ratio_last": TableColumn(
            "Of limit",
            "percentunit",
            steps=steps_of_rule("stream_filling"),
            decimals=0,
            width=80,
            absent="no limit",
        ),
        "bytes_last": TableColumn("Size", "decbytes", width=90),
        "messages_last": TableColumn("Messages", decimals=0, width=95),
        "age_s_last": TableColumn("Oldest", "s", width=90, absent="empty"),
        "unread_last": TableColumn("Unread", decimals=0, width=80),
        "slowest_last": TableColumn("Slowest reader", width=120, absent="none"),
        "process": TableColumn("Seen by", width=80),
    },
    sort=("stream", True),
    newest=True,
)

SEVERAL_MACHINES = BoardRow(
    "Several pollers, a journal in NATS, and DMZ nodes",
    (SHARES, STANDBY, CONNECTIONS, STREAMS, DMZ_NODES, DMZ_ITSELF),
    collapsed=True,
)

"""DMZ nodes on *Towpath itself*: as the inside sees them and as they see themselves."""

from dashboards.grafana.board import PLAIN, Panel, TableColumn, steps_of_rule
from dashboards.grafana.boards.key_texts import YES_IS_GOOD
from dashboards.grafana.boards.newest_rows import newest_rows
from dashboards.grafana.boards.rule_texts import what_to_do

DMZ_NODES = Panel(
    "What comes from the DMZ nodes?",
    "As the inside sees them; rows since it started. Not enrolled: rows of laptops "
    "that were revoked or erased meanwhile. Refused: rows that a working node never "
    "sends. Changed: rows with a target, site or text that ingest would not let in. "
    f"What to do about refused rows: {what_to_do('dmz_rows_refused')}",
    newest_rows(
        "self_dmz",
        "connected",
        "list_age_s",
        "taken_rows",
        "unenrolled_rows",
        "refused_rows",
        "changed_rows",
        "requests",
        by=("node", "process"),
    ),
    "short",
    "table",
    width=14,
    height=5,
    steps=PLAIN,
    columns={
        "node": TableColumn("Node"),
        "connected_last": TableColumn("Reached?", value_texts=YES_IS_GOOD, width=85),
        "list_age_s_last": TableColumn(
            "Published",
            "s",
            steps=steps_of_rule("dmz_list_old"),
            decimals=0,
            width=90,
        ),
        "taken_rows_last": TableColumn("Taken", decimals=0, width=90),
        "unenrolled_rows_last": TableColumn("Not enrolled", decimals=0, width=105),
        "refused_rows_last": TableColumn("Refused", decimals=0, width=80),
        "changed_rows_last": TableColumn("Changed", decimals=0, width=85),
        "requests_last": TableColumn("Requests", decimals=0, width=85),
        "process": TableColumn("Seen by", width=80),
    },
    sort=("node", True),
    newest=True,
)
DMZ_ITSELF = Panel(
    "Do the DMZ nodes let laptops in?",
    "As each node sees it. While the inside is away, a node keeps its rows, so the "
    f"newest ones here may be old. If its list is old: {what_to_do('dmz_list_old')}",
    newest_rows(
        "self_dmz_node", "ready", "list_age_s", "laptops", "waiting", by=("process",)
    ),
    "short",
    "table",
    width=10,
    height=5,
    steps=PLAIN,
    columns={
        "process": TableColumn("Node"),
        "ready_last": TableColumn("Lets in?", value_texts=YES_IS_GOOD, width=85),
        "list_age_s_last": TableColumn(
            "List", "s", decimals=0, width=80, absent="none came"
        ),
        "laptops_last": TableColumn("Laptops", decimals=0, width=85),
        "waiting_last": TableColumn("Waiting", decimals=0, width=80),
    },
    sort=("process", True),
    newest=True,
)

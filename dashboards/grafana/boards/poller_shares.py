"""How several pollers share the estate, and which machine alerts, on *Towpath
itself*."""

from dashboards.grafana.board import (
    GOOD,
    NEUTRAL,
    PLAIN,
    Panel,
    TableColumn,
    ValueTexts,
)
from dashboards.grafana.boards.key_texts import YES_IS_GOOD
from dashboards.grafana.boards.newest_rows import newest_rows
from dashboards.grafana.boards.rule_texts import what_to_do

SHARES = Panel(
    "Do the pollers share all devices?",
    "Each device, and each VPN gateway, is polled by one poller. If one does not have "
    f"all that it should for some minutes: {what_to_do('estate_not_shared')}",
    newest_rows("self_share", "held", "pollers", "settled", "changes", by=("process",)),
    "short",
    "table",
    width=24,
    height=5,
    steps=PLAIN,
    columns={
        "process": TableColumn("Poller"),
        "held_last": TableColumn("Devices", "short", decimals=0, width=130),
        "pollers_last": TableColumn("Pollers", "short", decimals=0, width=130),
        "settled_last": TableColumn(
            "Has its share?", value_texts=YES_IS_GOOD, width=130
        ),
        "changes_last": TableColumn("Changes since start", decimals=0, width=170),
    },
    sort=("process", True),
    newest=True,
)
_IS_ACTIVE: ValueTexts = {1: ("yes", GOOD), 0: ("stands by", NEUTRAL)}
STANDBY = Panel(
    "Does a machine evaluate alerts, and does another stand by?",
    "One of several machines with the role alert evaluates and notifies; the others "
    f"follow. If none does: {what_to_do('alerts_unattended')} If none stands by: "
    f"{what_to_do('alerts_without_standby')}",
    newest_rows("self_standby", "active", "attended", "machines", by=("process",)),
    "short",
    "table",
    width=24,
    height=5,
    steps=PLAIN,
    columns={
        "process": TableColumn("Machine"),
        "active_last": TableColumn("Evaluates?", value_texts=_IS_ACTIVE, width=130),
        "attended_last": TableColumn("Does any?", value_texts=YES_IS_GOOD, width=150),
        "machines_last": TableColumn("Machines", "short", decimals=0, width=130),
    },
    sort=("process", True),
    newest=True,
)

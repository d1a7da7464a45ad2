"""Whether notifications reach people, channel by channel."""

from dashboards.grafana.board import (
    GREEN,
    RED,
    Panel,
    PanelQuery,
    Steps,
    TableColumn,
    select,
)
from dashboards.grafana.boards.key_texts import YES_NO
from dashboards.grafana.boards.newest_rows import newest_rows
from dashboards.grafana.boards.rule_texts import what_to_do

# More than none of what should never happen.
NONE_IS_GOOD: Steps = ((None, GREEN), (1, RED))

IS_HEARD = Panel(
    "Are notifications delivered?",
    "Notifications that a channel refuses, or has not taken two minutes after they "
    f"were due. If it is not 0: {what_to_do('notifications_failing')}",
    (PanelQuery(select("self_notify", ("overdue", "max"))),),
    "short",
    "stat",
    width=4,
    height=4,
    steps=NONE_IS_GOOD,
    decimals=0,
    newest=True,
    tiles=True,
    no_value="No channel is set up",
)
CHANNELS = Panel(
    "Do notifications reach people?",
    "Each channel, counted since the alert process started. Overdue: refused, or not "
    f"delivered two minutes after it was due. {what_to_do('notifications_failing')}",
    newest_rows(
        "self_notify",
        "overdue",
        "waiting",
        "sent",
        "failed",
        "refused",
        "refresh_failing",
        by=("channel", "process"),
    ),
    "short",
    "table",
    width=14,
    height=7,
    columns={
        "channel": TableColumn("Channel"),
        "process": TableColumn("Process", width=110),
        "overdue_last": TableColumn(
            "Overdue", "short", steps=NONE_IS_GOOD, decimals=0, width=90
        ),
        "waiting_last": TableColumn("Waiting", "short", decimals=0, width=90),
        "sent_last": TableColumn("Delivered", "short", decimals=0, width=90),
        "failed_last": TableColumn("Failed tries", "short", decimals=0, width=100),
        "refused_last": TableColumn("Refused", "short", decimals=0, width=90),
        "refresh_failing_last": TableColumn(
            "Update fails",
            "short",
            value_texts=YES_NO,
            width=100,
            absent="no updates",
        ),
    },
    sort=("overdue_last", True),
    newest=True,
)

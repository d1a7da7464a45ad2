"""Links from an alert to the panel that shows it, at its time."""

from collectors.store.query import Aggregate
from dashboards.grafana.board import Calculated, TableColumn, column
from dashboards.grafana.board_links import KEEPS_ENCODING

# A rule's board and panel: filled in once all boards are known (`boards.link_alerts`).
RULE_COLUMN = "rule"
# From an hour before an alert began to an hour after.
_AROUND_MS = "3600000"
AROUND = (
    Calculated("from_ms", "since_ms_last", "-", _AROUND_MS),
    Calculated("to_ms", "since_ms_last", "+", _AROUND_MS),
)
TO_PANEL = (
    f"/d/${{__data.fields.{RULE_COLUMN}.text:raw}}"
    f"&var-site={column('site')}"
    f"&var-device={column('device_last')}"
    f"&var-port={column('port_last')}"
    "&from=${__data.fields.from_ms.numeric}&to=${__data.fields.to_ms.numeric}"
    f"{KEEPS_ENCODING}"
)
# Columns that only the link needs.
HIDDEN = {
    RULE_COLUMN: TableColumn("Panel", hidden=True),
    "site": TableColumn("Site's id", hidden=True),
    "device_last": TableColumn("Device", hidden=True),
    "port_last": TableColumn("Port", hidden=True),
    "from_ms": TableColumn("From", "none", hidden=True),
    "to_ms": TableColumn("To", "none", hidden=True),
}
PICKS: tuple[tuple[str, Aggregate], ...] = (
    ("since_ms", "last"),
    ("site_name", "last"),
    ("device", "last"),
    ("port", "last"),
)

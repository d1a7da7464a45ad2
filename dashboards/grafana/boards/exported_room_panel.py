"""Teams Rooms as Microsoft's portals have them, from what people export."""

from __future__ import annotations

from dashboards.grafana.board import (
    BAD,
    GOOD,
    LOOK,
    Panel,
    PanelQuery,
    TableColumn,
    select,
    steps_of_rule,
)
from dashboards.grafana.boards.call_panels import record_column
from dashboards.grafana.boards.site_states import site_id_column

_HEALTH = {
    "0": ("Offline", BAD),
    "1": ("Faulty", BAD),
    "2": ("Look", LOOK),
    "3": ("Healthy", GOOD),
}
EXPORTED_ROOMS = Panel(
    "What do Microsoft's portals say of each Teams Room?",
    "Exports of the Teams admin centre, of the Pro Management portal or of the Call "
    "Quality Dashboard by account, that people import (towpath import rooms). A room "
    "is found by its account in the estate. Health, its words and the devices are of "
    "the newest day; the rest are sums and means.",
    (
        PanelQuery(
            select(
                "teams_room",
                ("health", "last"),
                ("health_text", "last"),
                ("healthy_ratio", "mean"),
                ("meetings", "sum"),
                ("meetings_s", "sum"),
                ("poor_ratio", "mean"),
                ("classified", "sum"),
                ("unclassified_ratio", "mean"),
                ("streams", "sum"),
                ("model", "last"),
                by=("room", "site"),
            )
        ),
    ),
    "short",
    "table",
    width=24,
    height=7,
    columns={
        "room": TableColumn("Room", width=150),
        "site": site_id_column(130),
        "health_last": TableColumn("Health", value_texts=_HEALTH, width=90),
        "health_text_last": TableColumn("In words", width=130),
        "healthy_ratio_mean": record_column("teams_room", "healthy_ratio", "Healthy"),
        "meetings_sum": record_column("teams_room", "meetings", "Meetings", 0),
        "meetings_s_sum": record_column("teams_room", "meetings_s", "In meetings", 0),
        "poor_ratio_mean": record_column(
            "teams_room",
            "poor_ratio",
            "Poor",
            steps=steps_of_rule("recorded_calls_poor_site"),
        ),
        "classified_sum": record_column("teams_room", "classified", "Streams", 0),
        "unclassified_ratio_mean": record_column(
            "teams_room", "unclassified_ratio", "No verdict"
        ),
        "streams_sum": record_column("teams_room", "streams", "All streams", 0),
        "model_last": TableColumn("Devices"),
    },
    sort=("health_last", False),
)

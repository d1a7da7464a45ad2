"""Names of metrics and lengths of time, as Prometheus writes them."""

from __future__ import annotations

from alerts.rule import Condition
from collectors.self_metrics import family_name
from collectors.server_measurements import CATALOGUE


def age_name(measurement: str) -> str:
    """The metric that tells how old the newest row is."""
    return family_name(measurement, "row_age_s")


def value_name(measurement: str, condition: Condition) -> str:
    """The metric that holds what `condition` compares."""
    if condition.aggregate == "last":
        return field_name(measurement, condition.field)
    name = family_name(measurement, condition.field)
    return f"{name}_{condition.aggregate}_{duration(condition.over)}"


def field_name(measurement: str, field: str) -> str:
    counter = CATALOGUE.measurement(measurement).field(field).counter
    return family_name(measurement, field) + ("_total" if counter else "")


def duration(ms: int) -> str:
    """`90s`, `10m`, `4h`: whole seconds, in the largest unit."""
    seconds = -(-ms // 1000)
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"

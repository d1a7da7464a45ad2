"""What the agent collects, printed from the catalogue: the same declarations against
which every row is checked before it is stored."""

from __future__ import annotations

import textwrap

from probes.diagnosis import data_costs
from probes.wire.catalogue import Measurement
from probes.wire.measurements import MEASUREMENTS
from probes.wire.policy import Policy, TeamsRelay

NEVER = (
    "who you are: no user name, no e-mail address, no machine name",
    "what you do: no web history, no programs, no documents, no keystrokes, no screen",
    "whom you call or what you say; whether you are in a call never leaves the laptop",
    "where you are beyond office (which), home, elsewhere or unknown: no location",
    "your Wi-Fi's name or its access point's address (no SSID, no BSSID)",
    "your home's internet address: the server keeps the provider's name only",
    "names or addresses other than those your council lists for everybody",
)
KEPT = (
    "Rows about one laptop are kept apart, under a pseudonym (a keyed hash), and are",
    "deleted after the days given. Shared pages and reports only show groups of at",
    "least 10 laptops; your council may have set another number, never under 5.",
)


# A council that asks for a little of everything.
_TYPICAL = Policy(teams_relay=TeamsRelay(host="relay"))
_SERVICES, _NAMES = 5, 3


def what_we_collect(width: int = 79) -> str:
    """Every measurement, tag and field: its meaning, unit, whether it is personal, and
    how long it is kept; and what is never collected. Pure."""
    lines = ["WHAT THIS AGENT COLLECTS", "", *KEPT, ""]
    lines += ["With every row:"]
    for tag in MEASUREMENTS[0].tags:
        lines += _entry(tag.name, tag.meaning, "", tag.personal, width)
    for each in MEASUREMENTS:
        lines += [
            "",
            f"{each.name}: {each.meaning}",
            f"  {how_often(each)} unless your council says otherwise; "
            f"kept {each.retention_days} days",
        ]
        for field in each.fields:
            unit = "" if field.unit in {"1", "flag"} else field.unit
            lines += _entry(field.name, field.meaning, unit, field.personal, width)
    lines += ["", "WHAT IS NEVER COLLECTED", ""]
    for what in NEVER:
        lines += textwrap.wrap(
            what, width, initial_indent="  - ", subsequent_indent="    "
        )
    lines += ["", "WHAT IT COSTS YOUR CONNECTION", ""]
    for metered, where in ((False, "An ordinary line"), (True, "A metered line")):
        day = data_costs.day(_TYPICAL, metered, _SERVICES, _NAMES)
        lines += [f"{where}, on day and night, {_SERVICES} web services:"]
        lines += [*data_costs.shown(day), ""]
    lines += [
        "Your council's policy may ask for more or less; both are held to a monthly",
        "limit. Speed tests have one of their own and never run on a metered line.",
    ]
    lines += [
        "",
        "See it yourself: towpath-agent once shows a measurement, towpath-agent sent",
        "shows what was sent, word for word; towpath-agent pause stops it for a while.",
    ]
    return "\n".join(lines)


def how_often(measurement: Measurement) -> str:
    """`every 15 min`: as it comes, without a policy that says otherwise. Pure."""
    if measurement.period_s < 7200:
        return f"every {measurement.period_s // 60} min"
    return f"every {measurement.period_s // 3600} h"


def _entry(name: str, meaning: str, unit: str, personal: bool, width: int) -> list[str]:
    text = (
        meaning + (f" [{unit}]" if unit else "") + (" (personal)" if personal else "")
    )
    return textwrap.wrap(
        text,
        width,
        initial_indent=f"  {name:<20} ",
        subsequent_indent=" " * 23,
    )

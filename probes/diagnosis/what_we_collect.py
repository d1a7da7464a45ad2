"""What the agent collects, printed from the catalogue against which the server checks
every row before it stores it."""

from __future__ import annotations

import textwrap

from probes.wire import data_costs
from probes.wire.catalogue import Measurement
from probes.wire.durations import exact_duration_text
from probes.wire.measurements import MEASUREMENTS
from probes.wire.number_text import capitalised
from probes.wire.probe_list import probe_title

NEVER = (
    "who you are: no user name, no e-mail address, no machine name",
    "what you do: no web history, no programs, no documents, no keystrokes, no screen",
    "whom you call or what you say; whether you are in a call never leaves the laptop",
    "where you are: only which office, home, elsewhere or unknown, never a location",
    "the name of your Wi-Fi or the address of its access point (no SSID, no BSSID)",
    "your home's internet address: the server keeps only the provider's name",
    "names or addresses other than those your council lists for everybody",
)
STORAGE = (
    "Results from one laptop are stored under a pseudonym (a keyed hash) and deleted",
    "after the number of days shown. Shared pages and reports show groups of at least",
    "10 laptops; your council may have set another number, never under 5.",
    "When the laptop joins, a SHA-256 of the computer's serial number is sent, not the",
    "number. The server keeps a keyed hash of that, if your council wants it.",
)


def what_we_collect(width: int = 79) -> str:
    """Every measurement, tag and field: meaning, unit, how long it is kept, and whether
    it is personal. Then what is never collected, and how much data is used. Pure."""
    lines = ["WHAT THIS AGENT COLLECTS", "", *STORAGE, ""]
    lines += ["With every row:"]
    for tag in MEASUREMENTS[0].tags:
        lines += _entry(tag.name, tag.meaning, "", tag.personal, width)
    for measurement in MEASUREMENTS:
        lines += [
            "",
            *textwrap.wrap(
                f"{capitalised(probe_title(measurement.name))} ({measurement.name}): "
                f"{measurement.meaning}",
                width,
            ),
            f"  {period_text(measurement)} unless your council has set another "
            f"interval; kept {measurement.retention_days} days",
        ]
        for field in measurement.fields:
            unit = "" if field.unit in {"1", "flag"} else field.unit
            lines += _entry(field.name, field.meaning, unit, field.personal, width)
    lines += ["", "WHAT IS NEVER COLLECTED", ""]
    for text in NEVER:
        lines += textwrap.wrap(
            text, width, initial_indent="  - ", subsequent_indent="    "
        )
    lines += ["", "HOW MUCH DATA IT USES", ""]
    for metered, connection in (
        (False, "An ordinary connection"),
        (True, "A metered connection"),
    ):
        services = data_costs.TYPICAL_SERVICES
        lines += [f"{connection}, laptop on day and night, {services} web services:"]
        lines += [*cost_lines(data_costs.typical_day(metered)), ""]
    lines += [
        "Your council's policy may ask for more or less. A limit of each day and month",
        "applies; speed tests have their own and never run on a metered connection.",
    ]
    lines += [
        "",
        "See for yourself: towpath-agent once measures and shows the results;",
        "towpath-agent sent shows exactly what was sent; towpath-agent pause stops",
        "measuring for a while.",
    ]
    return "\n".join(lines)


def period_text(measurement: Measurement) -> str:
    """`every 15 minutes`: the default interval, which a policy may change. Pure."""
    every = exact_duration_text(measurement.period_s)
    return f"every {every.removeprefix('1 ')}"


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


def day_table() -> str:
    """The typical day, usual and on a metered connection, as a table of Markdown."""
    metered = {line.name: line for line in data_costs.typical_day(True)}
    rows = ["| | a run | runs a day | a day | metered |", "|---|---|---|---|---|"]
    for line in data_costs.typical_day(False):
        less = metered.get(line.name)
        place = line.name == data_costs.PLACE
        title = "place (the beacon)" if place else probe_title(line.name)
        rows.append(
            f"| {title} | {line.run_bytes / 1e3:.1f} kB | {line.runs} | "
            f"{line.day_bytes / 1e6:.2f} MB | "
            f"{f'{less.day_bytes / 1e6:.2f} MB' if less else 'none'} |"
        )
    sums = [
        f"**{data_costs.total(data_costs.typical_day(on, ip)) / 1e6:.1f} MB**"
        for ip in (4, 6)
        for on in (False, True)
    ]
    rows.append(f"| **all** | | | {sums[0]} | {sums[1]} |")
    rows.append(f"| **all, with IPv6** | | | {sums[2]} | {sums[3]} |")
    return "\n".join(rows) + "\n"


def cost_lines(lines: list[data_costs.Cost]) -> list[str]:
    """The lines and their sum as text."""
    rows = [
        f"  {capitalised(probe_title(line.name)):<14} {line.run_bytes / 1e3:>8.1f} kB"
        f" x {line.runs:>4} = {line.day_bytes / 1e6:>5.1f} MB"
        for line in lines
    ]
    return [*rows, f"  {'In 24 hours':<33}{data_costs.total(lines) / 1e6:>5.1f} MB"]

"""What the agent last saw, for the person at the laptop, in plain words.

The running agent writes `status.json` beside its spool; `towpath-agent status` reads
it. Nothing here is sent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from probes.diagnosis.local_time import local_time_text
from probes.diagnosis.outcome_text import TITLES
from probes.diagnosis.verdict import LaptopVerdict, verdict
from probes.wire.atomic_file import replace_file
from probes.wire.policy import Incident
from probes.wire.report import Result, Whereabouts

FILE = "status.json"
STALE_MS = 900_000
# The policy is asked for every hour, as it comes.
KNOWN_MS = 2 * 3_600_000
# What a field's name ends with; the figure is shown with its unit.
_UNITS = (
    "_ms",
    "_ratio",
    "_bps",
    "_bytes",
    "_byte",
    "_dbm",
    "_db",
    "_ghz",
    "_mhz",
    "_days",
    "_s",
    "_rpm",
    "_estimated",
)
# The catalogue's units as a person says them.
_SAID = {
    "1": "",
    "1/min": "a minute",
    "packet": "packets",
    "byte": "bytes",
    "d": "days",
}
_LINKS = {"wired": ", on a cable", "wifi": ", on Wi-Fi", "mobile": ", on a mobile line"}


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the running agent knows about itself, at one time. `network_ms`: since
    when the laptop has been in the network it is in."""

    written_ms: int
    started_ms: int
    software: str
    server: str
    agent: str
    home_site: str = ""
    stopped: bool = False
    whereabouts: Whereabouts = Whereabouts()
    place_reason: str = ""
    network_ms: int = 0
    clock_wrong_ms: int = 0
    quiet: str = ""
    incidents: tuple[Incident, ...] = ()
    paused_ms: int = 0
    longest_pause_s: int = 86_400
    last: tuple[Result, ...] = ()
    waiting: int = 0
    dropped: int = 0
    spool_trouble: str = ""
    spool_lost: str = ""
    delivered: int = 0
    delivered_ms: int | None = None
    delivery_trouble: str = ""
    policy_ms: int | None = None
    refused: dict[str, int] = {}
    next_ms: dict[str, int] = {}
    spent_bytes: int = 0
    budget_bytes: int = 0


def write_status(folder: Path, status: Status) -> None:
    """Keeps `status`. A full disk loses it, not the agent."""
    with contextlib.suppress(OSError):
        replace_file(folder / FILE, msgspec.json.encode(status), durable=False)


def read_status(folder: Path) -> Status | None:
    """What the agent last wrote, None where it never did or it cannot be read."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Status)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def judged(status: Status, now_ms: int) -> LaptopVerdict:
    """The verdict on what the agent last saw, in the network it is in now. Pure."""
    return verdict(status.last, now_ms, status.whereabouts, status.network_ms)


def advice(found: LaptopVerdict) -> list[str]:
    """The verdict, and for each thing that is wrong what to do about it. Pure."""
    lines = [capital(found.headline) + "."]
    if len(found.bad) == 1 and found.bad[0].do:
        lines.append(f"What to do: {found.bad[0].do}")
    elif len(found.bad) > 1:
        lines.append("What to do, the first one first:")
        lines += [
            f"  {number}. {capital(each.says)}. {each.do}".rstrip()
            for number, each in enumerate(found.bad, start=1)
        ]
    return lines


def known(status: Status, now_ms: int) -> list[str]:
    """What the council's server said is wrong there, while that is news. Pure."""
    if status.policy_ms is None or now_ms - status.policy_ms > KNOWN_MS:
        return []
    return [
        f"{each.says}, since {local_time_text(each.since_ms)}"
        for each in status.incidents
    ]


def describe(status: Status | None, now_ms: int) -> list[str]:
    """The lines of `towpath-agent status`. Pure."""
    if status is None:
        return ["The agent has not run on this laptop yet (towpath-agent run)."]
    age_ms = now_ms - status.written_ms
    lines = []
    if status.stopped or age_ms > STALE_MS:
        lines.append(f"The agent is not running; it was last seen {ago(age_ms)}.")
    lines += advice(judged(status, now_ms))
    lines += [f"Known to your council: {each}." for each in known(status, now_ms)]
    if status.quiet:
        lines.append(capital(status.quiet) + ".")
    lines.append(place(status))
    lines += _delivery(status, now_ms)
    if status.last:
        lines += ["", "Last seen:"]
        lines += [f"  {each}" for each in table(status.last, now_ms)]
    due = sorted((at, job) for job, at in status.next_ms.items() if at > now_ms)
    if due and not status.stopped:
        lines += ["", "Next: " + ", ".join(_next(at, job, now_ms) for at, job in due)]
    lines += [
        "",
        f"This month it used {status.spent_bytes / 1e6:.1f} MB of your connection"
        + (
            f", of at most {status.budget_bytes / 1e6:.0f} MB."
            if status.budget_bytes
            else "."
        ),
        f"Your council knows this laptop as {status.agent}.",
        "What it collects: towpath-agent what-we-collect. "
        "What was sent, word for word: towpath-agent sent.",
    ]
    return lines


def table(results: Sequence[Result], now_ms: int | None = None) -> list[str]:
    """Results as aligned lines with units; with their age where `now_ms` is given."""
    rows = []
    for each in results:
        age = [] if now_ms is None else [ago(now_ms - each.time_ms)]
        what = TITLES.get(each.probe, each.probe)
        whom = f" ({each.target})" if each.target else ""
        rows.append([f"{what}{whom}", each.outcome.value, figures(each), *age])
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
    return [
        "  ".join(
            cell.ljust(widths[i]) if i < 3 else cell for i, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]


def figures(result: Result) -> str:
    """`rtt 21 ms, loss 0.5 %`: what was measured, with units. Pure."""
    from probes.wire.catalogue import UnknownName
    from probes.wire.measurements import CATALOGUE

    shown = []
    for name, value in result.values.items():
        if name.endswith("at_least"):
            # Said with the figure that it limits.
            continue
        if name.endswith("_met"):
            if value == 0:
                shown.append(f"misses the {name.removesuffix('_met')} target")
            continue
        try:
            unit = CATALOGUE.measurement(result.probe).field(name).unit
        except UnknownName:
            unit = "1"
        figure = _figure(name, value, unit)
        way = name.removesuffix("_bps")
        if result.values.get(f"{way}_at_least") == 1:
            figure = figure.replace(way, f"{way} at least", 1)
        shown.append(figure)
    return ", ".join(shown)


def _figure(name: str, value: float | str, unit: str) -> str:
    """`rtt 21 ms`, `loss 0.5 %`, `down 48 Mbit/s`: the name without its unit."""
    words = name
    for suffix in _UNITS:
        words = words.removesuffix(suffix)
    words = words.replace("_", " ")
    if isinstance(value, str):
        return value if name == "product" else f"{words} {value}"
    if unit == "ratio":
        return f"{words} {100 * value:.3g} %"
    if unit == "bit/s":
        return f"{words} {_number(value / 1e6)} Mbit/s"
    if unit == "byte" and value >= 100_000:
        return f"{words} {_number(value / 1e6)} MB"
    if unit == "flag":
        return f"{words} {'yes' if value else 'no'}"
    if unit == "MOS":
        return f"MOS {value:.2f} (estimated)"
    unit = _SAID.get(unit, unit)
    if value == 1 and unit.endswith("s") and len(unit) > 2:
        unit = unit.removesuffix("s")
    return f"{words} {_number(value)} {unit}".rstrip()


def _number(value: float) -> str:
    """Three digits that count, and never an exponent: `0.0723`, `48.2`, `5,070`."""
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-4 or not value else "0"


def place(status: Status) -> str:
    """One sentence: where the laptop is, and why that is believed. Pure."""
    where = status.whereabouts
    at = f"the office {where.site}" if where.place == "office" else where.place
    if where.place == "unknown":
        at = "a place it does not know"
    link = _LINKS.get(where.connection, "")
    vpn = {"up": ", VPN up", "down": ", VPN down"}.get(where.vpn, "")
    why = f" ({status.place_reason})" if status.place_reason else ""
    return f"The laptop is at {at}{link}{vpn}{why}."


def troubles(status: Status, now_ms: int) -> list[str]:
    """What keeps reports from the council's server, or lost some. Pure."""
    found = []
    if status.clock_wrong_ms:
        way = "ahead of" if status.clock_wrong_ms > 0 else "behind"
        found.append(
            f"this laptop's clock is {_length(abs(status.clock_wrong_ms))} {way} the "
            "council's server: have date and time set automatically"
        )
    if status.delivery_trouble:
        found.append(f"reports cannot be delivered: {status.delivery_trouble}")
    found += [
        f"{count} refused by the server: {why}" for why, count in status.refused.items()
    ]
    if status.dropped:
        found.append(f"{status.dropped} old reports were dropped for want of room")
    found += [each for each in (status.spool_trouble, status.spool_lost) if each]
    return found


def _delivery(status: Status, now_ms: int) -> list[str]:
    waiting = f"{status.waiting} report{'' if status.waiting == 1 else 's'} waiting"
    if status.delivered_ms is None:
        last = "nothing has been delivered yet"
    else:
        last = f"last delivered {ago(now_ms - status.delivered_ms)}"
    said = [f"{waiting}, {last}", *troubles(status, now_ms)]
    return [f"{capital(each)}." for each in said]


def _next(at_ms: int, job: str, now_ms: int) -> str:
    seconds = (at_ms - now_ms) / 1000
    soon = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    return f"{TITLES.get(job, job)} in {soon}"


def ago(age_ms: int) -> str:
    return f"{_length(max(age_ms, 0))} ago"


def _length(ms: int) -> str:
    seconds = ms / 1000
    for size, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]

"""The state of sites, devices and lines, as values. Pure: from estate, alerts and rows.

Three things are always kept apart: what fails, what was not observed, and what works.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from alerts.alert import Alert
from alerts.rule import CUT_OFF
from collectors.estate import Device, Estate, Line, Site
from collectors.natural_order import natural_order
from collectors.store.query import Row
from dashboards.row_values import float_value
from dashboards.state_levels import LEVEL_ORDER, Level, use_level
from dashboards.web.page_queries import MINUTE_MS
from probes.wire.counted_text import DOES_NOT_ANSWER, counted, counted_part
from probes.wire.sample import Value

STALE_MS = 3 * MINUTE_MS
# As the rule `certificate_expiring`.
CERTIFICATE_DAYS = 21


@dataclass(frozen=True)
class DeviceNow:
    """One device. `polled_ms`: its latest known poll. `cut_off`: that poll failed
    because Towpath itself was cut off."""

    device: Device
    level: Level
    word: str
    polled_ms: int | None = None
    outcome: str = ""
    ports_up: int | None = None
    ports_down: int | None = None
    uptime_s: float | None = None
    cut_off: bool = False


@dataclass(frozen=True)
class LineNow:
    line: Line
    level: Level
    word: str
    down_bps: float | None = None
    up_bps: float | None = None
    down_use: float | None = None
    up_use: float | None = None

    @property
    def use(self) -> float | None:
        """The higher of both directions."""
        known = [use for use in (self.down_use, self.up_use) if use is not None]
        return max(known, default=None)


@dataclass(frozen=True)
class Cause:
    """An alert that is not suppressed, with the alerts that it explains."""

    alert: Alert
    level: Level
    explains: tuple[Alert, ...] = ()

    @property
    def is_urgent(self) -> bool:
        """Whether it is a problem: others change no site's state."""
        return self.level != "none"


@dataclass(frozen=True)
class SiteNow:
    site: Site
    level: Level
    word: str
    why: str
    devices: tuple[DeviceNow, ...]
    lines: tuple[LineNow, ...]
    alerts: tuple[Alert, ...]
    newest_ms: int | None

    @property
    def name(self) -> str:
        """Its name, or its id if that is blank."""
        return self.site.name.strip() or self.site.id

    @property
    def up(self) -> int:
        return sum(device.level in ("ok", "warn") for device in self.devices)

    @property
    def busiest(self) -> LineNow | None:
        used = [line for line in self.lines if line.use is not None]
        return max(used, key=lambda line: line.use or 0.0, default=None)


def devices_now(
    devices: Iterable[Device],
    fresh: Sequence[Row] | None,
    earlier: Sequence[Row] | None,
    now_ms: int,
) -> list[DeviceNow]:
    """Returns the state of each device. If `fresh` is None, the store did not answer
    and nothing is known."""
    newest: dict[str, Row] = {}
    for row in (*(earlier or ()), *(fresh or ())):
        known = newest.get(row.tags.get("device", ""))
        if known is None or (row.time_ms or 0) >= (known.time_ms or 0):
            newest[row.tags.get("device", "")] = row
    listed = sorted(devices, key=lambda device: natural_order(device.name or device.id))
    return [_device(device, newest.get(device.id), now_ms) for device in listed]


def _device(device: Device, row: Row | None, now_ms: int) -> DeviceNow:
    if not device.poll:
        return DeviceNow(device, "none", "Not monitored")
    if row is None or row.time_ms is None:
        return DeviceNow(device, "none", "No data")
    up = row.values.get("up_last")
    outcome = str(row.values.get("outcome_last", ""))
    if now_ms - row.time_ms > STALE_MS:
        return DeviceNow(device, "none", "No data", row.time_ms, outcome)
    level: Level = "ok"
    if up is None:
        level, word = "none", "Not polled"
    elif not up:
        level, word = "bad", "Not answering"
    elif device.snmp and outcome not in ("", "ok"):
        level, word = "warn", "Answering, not readable"
    else:
        word = "Answering"
    return DeviceNow(
        device,
        level,
        word,
        row.time_ms,
        outcome,
        _int_value(row, "ports_up_last"),
        _int_value(row, "ports_down_last"),
        float_value(row, "uptime_s_last"),
    )


def lines_now(
    lines: Iterable[Line], rows: Sequence[Row] | None, alerts: Iterable[Alert] = ()
) -> list[LineNow]:
    """Returns each line by the worst of its port's state, its use and its alerts."""
    by_line = {row.tags.get("line", ""): row for row in rows or ()}
    about: dict[str, list[Alert]] = {}
    for alert in alerts:
        if alert.state == "firing" and alert.severity != "info":
            about.setdefault(alert.subject.get("line", ""), []).append(alert)
    listed = sorted(
        lines, key=lambda line: (line.role == "backup", natural_order(line.id))
    )
    return [_line(one, by_line.get(one.id), about.get(one.id, [])) for one in listed]


def _line(line: Line, row: Row | None, alerts: Sequence[Alert]) -> LineNow:
    if row is None:
        return LineNow(line, "none", "No data")
    if row.values.get("up_last") == 0:
        # `last` finds the rates from before it went down.
        kept = ("up_last", "carrying_last")
        values = {name: row.values[name] for name in kept if name in row.values}
        row = Row(row.time_ms, row.tags, values)
    down_use, up_use = (
        float_value(row, "down_use_ratio_last"),
        float_value(row, "up_use_ratio_last"),
    )
    use = max((u for u in (down_use, up_use) if u is not None), default=None)
    carrying = row.values.get("carrying_last")
    signs: list[tuple[Level, str]] = []
    if row.values.get("up_last") == 0:
        signs.append(("bad", "Down"))
    if use_level(use) in ("warn", "bad"):
        signs.append((use_level(use), "Full"))
    signs += [(level_of(alert), alert.title or alert.rule) for alert in alerts]
    if line.role == "backup" and carrying:
        signs.append(("warn", "Carrying traffic"))
    if row.values.get("up_last") is None and use is None and carrying is None:
        signs.append(("none", "No data"))
    well: tuple[Level, str] = (
        "ok",
        "Standby" if line.role == "backup" else "Working",
    )
    # The first of the worst.
    signs.sort(key=lambda sign: LEVEL_ORDER[sign[0]])
    level, word = signs[0] if signs else well
    return LineNow(
        line,
        level,
        word,
        float_value(row, "down_bps_last"),
        float_value(row, "up_bps_last"),
        down_use,
        up_use,
    )


def causes(alerts: Iterable[Alert]) -> list[Cause]:
    """Returns the causes among firing alerts, worst and oldest first.

    An alert whose cause is itself explained is listed under the topmost cause. One
    whose cause no longer fires is a cause of its own.
    """
    firing = {alert.key: alert for alert in alerts if alert.state == "firing"}

    def top(alert: Alert) -> str:
        seen = {alert.key}
        while (above := firing.get(alert.suppressed_by)) and above.key not in seen:
            seen.add(above.key)
            alert = above
        return alert.key

    folded: dict[str, list[Alert]] = {}
    for key, alert in firing.items():
        root = top(alert)
        folded.setdefault(root, [])
        if root != key:
            folded[root].append(alert)
    causes_found = [
        Cause(
            firing[root],
            level_of(firing[root]),
            tuple(sorted(below, key=lambda alert: (alert.since_ms, alert.key))),
        )
        for root, below in folded.items()
    ]
    order = {"critical": 0, "warning": 1, "info": 2}
    causes_found.sort(
        key=lambda c: (order[c.alert.severity], c.alert.since_ms, c.alert.key)
    )
    return causes_found


def level_of(alert: Alert) -> Level:
    levels: dict[str, Level] = {"critical": "bad", "warning": "warn", "info": "none"}
    return levels[alert.severity]


def site_now(
    site: Site,
    estate: Estate,
    devices: Sequence[DeviceNow],
    lines: Sequence[LineNow],
    alerts: Sequence[Alert],
) -> SiteNow:
    """Returns a site's state (the worst of its devices, lines and alerts) and why, in
    one line."""
    own = tuple(device for device in devices if device.device.site == site.id)
    own_lines = tuple(line for line in lines if line.line.site == site.id)
    firing = tuple(
        alert
        for alert in alerts
        if alert.site == site.id
        and alert.state == "firing"
        and alert.rule not in _NOT_OF_SITES
    )
    # What another site's cause explains is that site's problem.
    at = {alert.key: alert.site for alert in alerts if alert.state == "firing"}
    own_alerts = [
        a for a in firing if at.get(a.suppressed_by, site.id) in ("", site.id)
    ]
    monitored = [device for device in own if device.device.poll]
    seen = [device for device in monitored if device.level != "none"]
    silent = [device for device in seen if device.level == "bad"]
    cut = [line for line in own_lines if line.word == "Down"]
    newest = max((d.polled_ms for d in own if d.polled_ms is not None), default=None)
    level: Level = "ok"
    if not monitored:
        level, word, why = "none", "Not monitored", "None of its devices is polled."
    elif not seen and any(device.cut_off for device in monitored):
        level, word, why = "none", "No data", "Towpath itself is cut off from it."
    elif not seen:
        level, word, why = "none", "No data", "There is no data from its devices."
    elif len(silent) == len(seen):
        level, word = "bad", "Down"
        why = _why(firing) or "None of its devices answers."
    elif any(alert.severity == "critical" for alert in own_alerts) or silent:
        level, word = "bad", "Problem"
        part = counted_part(len(silent), len(monitored), "device(s)", *DOES_NOT_ANSWER)
        why = _why(firing) or f"{part}."
    elif any(line.line.role == "primary" for line in cut):
        level, word, why = "bad", "Problem", _why(own_alerts) or _lines_down(cut)
    elif cut or any(alert.severity == "warning" for alert in own_alerts):
        level, word, why = "warn", "Degraded", _why(own_alerts) or _lines_down(cut)
    else:
        word, why = "Working", ""
        if len(seen) < len(monitored):
            missing = len(monitored) - len(seen)
            why = f"No data from {missing} of {counted(len(monitored), 'device')}."
    return SiteNow(site, level, word, why, own, own_lines, firing, newest)


def worst_first(sites: Iterable[SiteNow]) -> list[SiteNow]:
    """Returns the sites, most urgent first, then by criticality, then by name."""
    ranks = {"high": 0, "normal": 1, "low": 2}

    def urgency(s: SiteNow) -> tuple[int, bool, int, str]:
        return (
            LEVEL_ORDER[s.level],
            s.word != "Down",
            ranks[s.site.criticality],
            natural_order(s.name),
        )

    return sorted(sites, key=urgency)


def _lines_down(cut: Sequence[LineNow]) -> str:
    names = ", ".join(line.line.id for line in cut)
    return f"{'Line' if len(cut) == 1 else 'Lines'} down: {names}."


def gateway_now(values: Mapping[str, Value] | None) -> tuple[Level, str]:
    """Returns a VPN gateway's state: the worse of its answer and its certificate."""
    up = None if values is None else values.get("up_last")
    if values is None or up is None:
        return "none", "No data"
    if not up:
        return "bad", "Not answering"
    days = values.get("certificate_days_last")
    if not isinstance(days, int | float) or days >= CERTIFICATE_DAYS:
        return "ok", "Answering"
    if days <= 0:
        return "bad", "Its certificate has expired"
    return "warn", "Its certificate expires soon"


def _why(firing: Sequence[Alert]) -> str:
    found_causes = causes(firing)
    if not found_causes:
        return ""
    first = found_causes[0].alert
    return first.summary or first.title or first.rule


@dataclass(frozen=True)
class Blindness:
    """Why the page may not show the true state. Without sentences, all is seen."""

    sentences: tuple[str, ...] = ()


def blindness(
    devices: Sequence[DeviceNow],
    alerts: Iterable[Alert],
    store_failing: str,
    alerts_failing: str,
) -> Blindness:
    """Returns what the monitor cannot see at the moment, one sentence each."""
    sentences: list[str] = []
    if store_failing:
        sentences.append(
            f"The store of measurements does not answer ({store_failing})."
        )
    if alerts_failing:
        sentences.append(f"The state of alerts cannot be read ({alerts_failing}).")
    monitored = [device for device in devices if device.device.poll]
    without_data = [
        device for device in monitored if device.level == "none" and not device.cut_off
    ]
    if monitored and not store_failing:
        if len(without_data) == len(monitored):
            sentences.append("No device has been polled for over three minutes.")
        elif 2 * len(without_data) > len(monitored):
            count, total = len(without_data), len(monitored)
            part = counted_part(count, total, "device(s)", "has", "have")
            sentences.append(f"{part} not been polled for over three minutes.")
    blind = [a for a in alerts if a.state == "firing" and a.rule in BLIND_RULES]
    if any(d.cut_off for d in devices) and CUT_OFF not in {a.rule for a in blind}:
        sentences.append(
            "None of the devices answers: Towpath itself seems to be cut off."
        )
    sentences.extend(alert.summary or alert.cause or alert.rule for alert in blind)
    return Blindness(tuple(dict.fromkeys(sentences)))


# Rules about what Towpath cannot see, not about something that is down.
BLIND_RULES = frozenset(
    {
        "disk_full",
        "monitor_blind",
        CUT_OFF,
        "poller_silent",
        "journal_dropping",
        "reader_behind",
        "agents_silent",
    }
)
_NOT_OF_SITES = BLIND_RULES | {"device_not_measured"}


def _int_value(row: Row, name: str) -> int | None:
    value = float_value(row, name)
    return None if value is None else int(value)

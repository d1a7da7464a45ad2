"""What `towpath rules …` and `towpath alerts …` do; each returns its exit code: 0 done,
1 it ran and the answer is bad, 2 wrong usage or files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from alerts import recording, unknown_names
from alerts.alert import Alert
from alerts.alert_access import (
    acknowledge,
    end_silence,
    open_alerts,
    overdue_notifications,
    recent_alerts,
    silence,
    silences,
)
from alerts.alert_text import say_affected
from alerts.notify.delivery_result import DeliveryRefused, Notifier, Partly, Retry
from alerts.notify.page import Page, build
from alerts.rule_files import Check, RuleError, Rules, load, nothing
from alerts.suppression import Silence
from collectors.estate.estate_model import Estate
from collectors.server_measurements import CATALOGUE
from probes.wire.catalogue import did_you_mean
from probes.wire.clock import wall_ms
from probes.wire.durations import duration_text, parse_duration_ms

Out = Callable[[str], None]


def rules_list(folder: Path | None, as_json: bool = False, out: Out = print) -> int:
    """Every enabled rule: id, severity, how long before it pages, title, where."""
    try:
        rules = load(CATALOGUE, folder)
    except RuleError as error:
        return _wrong(error.findings, out)
    if as_json:
        out(msgspec.json.encode([r.model_dump(by_alias=True) for r in rules]).decode())
        return 0
    width = max(len(rule.id) for rule in rules)
    out(f"{'rule':<{width}}  {'severity':<8}  {'pages':<7}  when")
    for rule in rules:
        where = f" (only {', '.join(rule.sites)})" if rule.sites else ""
        if rule.not_sites:
            where += f" (not {', '.join(rule.not_sites)})"
        after_s = rule.page_after_ms / 1000
        after = duration_text(after_s) if after_s else "at once"
        out(f"{rule.id:<{width}}  {rule.severity:<8}  {after:<7}  {rule.title}{where}")
    return 0


def rules_check(folder: Path | None, out: Out = print, check: Check = nothing) -> int:
    """Whether the rules can be used, and everything that is wrong with them."""
    try:
        rules = load(CATALOGUE, folder, check)
    except RuleError as error:
        return _wrong(error.findings, out)
    out(f"{len(rules.ids)} rules are well.")
    return 0


def rules_test(
    files: Sequence[Path], folder: Path | None = None, out: Out = print
) -> int:
    """Plays recorded windows and says where the rules come to another verdict."""
    try:
        rules = load(CATALOGUE, folder)
        recordings = [(path, recording.read(path)) for path in files]
    except (RuleError, recording.RecordingError) as error:
        return _wrong(error.findings, out)
    bad = played = 0
    for path, recorded in recordings:
        for name, found in recording.problems(recorded, rules):
            played += 1
            bad += bool(found)
            out(f"{'differs' if found else 'as expected':<12} {path.name}: {name}")
            for line in found:
                out(f"             {line}")
    out(f"{played} cases, {bad} differ from what was expected.")
    return 1 if bad else 0


def alerts_list(
    standing: Path,
    now_ms: int,
    since_ms: int | None = None,
    everything: bool = False,
    as_json: bool = False,
    timezone: str = "Europe/London",
    out: Out = print,
) -> int:
    """Open alerts (with `since_ms` those that ended since, too). Exit 1 where any that
    is not suppressed fires. `everything` shows the suppressed and pending ones."""
    if since_ms is None:
        alerts = open_alerts(standing)
    else:
        alerts = recent_alerts(standing, since_ms)
    firing = any(a.state == "firing" and not a.suppressed_by for a in alerts)
    if as_json:
        rows = [{**msgspec.to_builtins(a), "key": a.key} for a in alerts]
        out(msgspec.json.encode(rows).decode())
        return 1 if firing else 0
    shown = [
        a
        for a in alerts
        if everything or (a.state != "pending" and not a.suppressed_by)
    ]
    if not shown:
        out(
            "Nothing is wrong that Towpath knows of." if not alerts else _folded(alerts)
        )
    for alert in shown:
        for line in _lines(alert, now_ms, ZoneInfo(timezone)):
            out(line)
    for late in overdue_notifications(standing, now_ms):
        since = _clock(late.since_ms, ZoneInfo(timezone))
        out(f"not taken by {late.channel} since {since} ({late.count}): {late.error}")
    return 1 if firing else 0


def alerts_ack(
    standing: Path, key: str, who: str, why: str, now_ms: int, out: Out = print
) -> int:
    """Says that somebody has it."""
    try:
        alert = acknowledge(standing, key, who, why, now_ms)
    except LookupError:
        known = [alert.key for alert in open_alerts(standing)]
        out(f"no open alert is called {key!r}{did_you_mean(key, known)}")
        return 2
    out(f"{who} has it: {alert.summary}")
    return 0


def alerts_silence(
    standing: Path,
    lasting: str,
    who: str,
    why: str,
    now_ms: int,
    site: str = "",
    device: str = "",
    rule: str = "",
    from_ms: int | None = None,
    planned: bool = False,
    known: tuple[Rules, Estate] | None = None,
    timezone: str = "Europe/London",
    out: Out = print,
) -> int:
    """Pages nobody for `lasting` (`2h`) for a site, a device, a rule, or their
    intersection. Measuring goes on; `planned` is told apart in reports. `known`: what
    there is to silence; without it names are taken as they are."""
    try:
        lasting_ms = parse_duration_ms(lasting)
    except ValueError as error:
        out(str(error))
        return 2
    if not (site or device or rule):
        out("expected a site, a device or a rule: to silence all would be blindness")
        return 2
    begins_ms = now_ms if from_ms is None else from_ms
    until_ms = begins_ms + lasting_ms
    wanted = Silence(0, begins_ms, until_ms, site, device, rule, why, who, int(planned))
    wrong = [] if known is None else list(unknown_names.of_silence(wanted, *known))
    if wrong:
        return _wrong(wrong, out)
    try:
        made = silence(standing, wanted)
    except ValueError as error:
        out(str(error))
        return 2
    out(f"silence {made.id} until {_clock(until_ms, ZoneInfo(timezone))}")
    return 0


def alerts_silences(
    standing: Path, now_ms: int, timezone: str = "Europe/London", out: Out = print
) -> int:
    """Silences that are in force or to come."""
    for each in silences(standing, now_ms):
        what = " ".join(
            f"{name} {value}"
            for name in ("site", "device", "rule")
            if (value := getattr(each, name))
        )
        begins, ends = (
            _clock(ms, ZoneInfo(timezone)) for ms in (each.from_ms, each.until_ms)
        )
        kind = "maintenance" if each.planned else "silence"
        out(f"{each.id:>4}  {kind}: {what}, {begins} to {ends}, {each.who}: {each.why}")
    return 0


def alerts_unsilence(standing: Path, id: int, now_ms: int, out: Out = print) -> int:
    if end_silence(standing, id, now_ms):
        out(f"silence {id} is over")
        return 0
    out(f"there is no silence {id} in force or to come")
    return 2


def alerts_test(
    notifiers: Mapping[str, Notifier],
    channel: str,
    base_url: str = "",
    council: str = "Towpath",
    out: Out = print,
) -> int:
    """Sends one page that says it is a test, and says what the other end answered."""
    notifier = notifiers.get(channel)
    if notifier is None:
        hint = did_you_mean(channel, notifiers)
        out(f"no channel is called {channel!r}{hint}")
        return 2
    now_ms = wall_ms()
    alert = Alert(
        rule="test",
        subject={},
        severity="info",
        state="firing",
        since_ms=now_ms,
        title="Test",
        summary="This is a test: Towpath can reach you on this channel",
        cause="Somebody asked for it on the command line.",
        runbook="Nothing.",
    )
    page = build([alert], "page", [f"test@{now_ms}"], now_ms, base_url, council=council)
    try:
        asyncio.run(_send(notifier, page))
    except (Retry, DeliveryRefused, Partly, TimeoutError) as failure:
        out(f"{channel}: {failure or 'no answer in time'}")
        return 1
    out(f"{channel}: taken")
    return 0


async def _send(notifier: Notifier, page: Page) -> None:
    async with asyncio.timeout(120):
        await notifier.notify(page)


def _lines(alert: Alert, now_ms: int, zone: ZoneInfo) -> list[str]:
    ended = alert.resolved_ms is not None
    state = "over" if ended else alert.state
    age = duration_text(((alert.resolved_ms or now_ms) - alert.since_ms) / 1000)
    lines = [f"{alert.severity:<8}  {state:<8}  {alert.summary}"]
    about = [f"since {_clock(alert.since_ms, zone)} ({age})"]
    affected = say_affected(alert.affected)
    if affected:
        about.append(f"{affected} affected")
    if alert.suppressed_by:
        about.append(f"because of {alert.suppressed_by}")
    if alert.acknowledged_by:
        about.append(f"{alert.acknowledged_by} has it")
    if alert.silenced_until_ms > now_ms:
        about.append(f"silenced until {_clock(alert.silenced_until_ms, zone)}")
    lines.append(f"{'':20}{alert.key}: {', '.join(about)}")
    if not ended and alert.cause:
        lines.append(f"{'':20}{alert.cause}")
    return lines


def _folded(alerts: Sequence[Alert]) -> str:
    return f"Nothing fires; {len(alerts)} pending or suppressed (--all shows them)."


def _wrong(findings: Sequence[str], out: Out) -> int:
    for finding in findings:
        out(finding)
    return 2


def _clock(ms: int, zone: ZoneInfo) -> str:
    local = datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %H:%M}"

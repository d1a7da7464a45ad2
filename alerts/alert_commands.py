"""`towpath rules …` and `towpath alerts …`. Each function returns its exit code: 0 if
all is well, 1 if it found a problem, 2 if arguments or files are wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from alerts import recording, unknown_names
from alerts.acknowledgement import Share, acknowledge
from alerts.alert import Alert
from alerts.alert_access import (
    add_silence,
    end_silence,
    list_silences,
    open_alerts,
    overdue_notifications,
    recent_alerts,
)
from alerts.alert_text import describe_affected
from alerts.rule_files import RuleCheck, RuleError, Rules, load_rules, no_check
from alerts.silence import NOTHING_NAMED, Silence
from collectors.estate.estate_model import Estate
from collectors.server_measurements import CATALOGUE
from probes.wire.catalogue import did_you_mean
from probes.wire.counted_text import counted
from probes.wire.durations import duration_text, parse_duration_ms

Out = Callable[[str], None]


def rules_list(
    rules_folder: Path | None, as_json: bool = False, out: Out = print
) -> int:
    """Lists every enabled rule: id, severity, time before it pages, title, sites."""
    try:
        rules = load_rules(CATALOGUE, rules_folder)
    except RuleError as error:
        return _print_findings(error.findings, out)
    if as_json:
        out(msgspec.json.encode([r.model_dump(by_alias=True) for r in rules]).decode())
        return 0
    width = max(len(rule.id) for rule in rules)
    out(f"{'rule':<{width}}  {'severity':<8}  {'pages':<7}  title")
    for rule in rules:
        where = f" (only {', '.join(rule.sites)})" if rule.sites else ""
        if rule.not_sites:
            where += f" (not {', '.join(rule.not_sites)})"
        after_s = rule.page_after_ms / 1000
        after = duration_text(after_s) if after_s else "at once"
        out(f"{rule.id:<{width}}  {rule.severity:<8}  {after:<7}  {rule.title}{where}")
    return 0


def rules_check(
    rules_folder: Path | None, out: Out = print, check: RuleCheck = no_check
) -> int:
    """Reports whether the rules are valid, and every error in them."""
    try:
        rules = load_rules(CATALOGUE, rules_folder, check)
    except RuleError as error:
        return _print_findings(error.findings, out)
    out(f"{counted(len(rules.ids), 'rule is', 'rules are')} valid.")
    return 0


def rules_test(
    files: Sequence[Path], rules_folder: Path | None = None, out: Out = print
) -> int:
    """Replays recordings, and reports every difference from what they expect."""
    try:
        rules = load_rules(CATALOGUE, rules_folder)
        recordings = [(path, recording.read_recording(path)) for path in files]
    except (RuleError, recording.RecordingError) as error:
        return _print_findings(error.findings, out)
    differing = replayed = 0
    for path, recorded in recordings:
        for name, differences in recording.case_differences(recorded, rules):
            replayed += 1
            differing += bool(differences)
            verdict = "differs" if differences else "as expected"
            out(f"{verdict:<12} {path.name}: {name}")
            for line in differences:
                out(f"             {line}")
    out(f"{replayed} cases, {differing} differ from what was expected.")
    return 1 if differing else 0


def alerts_list(
    state_file: Path,
    now_ms: int,
    since_ms: int | None = None,
    everything: bool = False,
    as_json: bool = False,
    timezone: str = "Europe/London",
    out: Out = print,
) -> int:
    """Lists open alerts and, with `since_ms`, those that ended since. Returns 1 if any
    fires that is not suppressed. `everything` includes suppressed and pending ones."""
    if since_ms is None:
        alerts = open_alerts(state_file)
    else:
        alerts = recent_alerts(state_file, since_ms)
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
            "No problems known to Towpath."
            if not alerts
            else _hidden_alerts_line(alerts)
        )
    for alert in shown:
        for line in _alert_lines(alert, now_ms, ZoneInfo(timezone)):
            out(line)
    for late in overdue_notifications(state_file, now_ms):
        since = _clock(late.since_ms, ZoneInfo(timezone))
        out(
            f"not delivered by {late.channel} since {since} ({late.count}): "
            f"{late.error}"
        )
    return 1 if firing else 0


def alerts_ack(
    state_file: Path,
    key: str,
    who: str,
    why: str,
    now_ms: int,
    out: Out = print,
    timezone: str = "Europe/London",
    share: Share | None = None,
) -> int:
    """Acknowledges an alert and records who did. Returns 1 if it was acknowledged
    before."""
    try:
        alert, is_new = acknowledge(state_file, key, who, why, now_ms, share)
    except LookupError:
        known = [alert.key for alert in open_alerts(state_file)]
        out(f"no open alert is called {key!r}{did_you_mean(key, known)}")
        return 2
    if not is_new:
        out(f"already {_acknowledged_text(alert, ZoneInfo(timezone))}: {alert.summary}")
        return 1
    out(f"acknowledged by {who}: {alert.summary}")
    return 0


def alerts_silence(
    state_file: Path,
    lasting: str,
    wanted: Silence,
    known: tuple[Rules, Estate] | None = None,
    timezone: str = "Europe/London",
    out: Out = print,
) -> int:
    """Sends no pages for what `wanted` names, or their intersection, `lasting` (`2h`)
    from its start.

    Measuring goes on; reports show `planned` silences separately. `known`: the rules
    and the estate to check names against; without it, names are not checked.
    """
    try:
        lasting_ms = parse_duration_ms(lasting)
    except ValueError as error:
        out(str(error))
        return 2
    if not wanted.scope:
        out(NOTHING_NAMED)
        return 2
    wanted = msgspec.structs.replace(wanted, until_ms=wanted.from_ms + lasting_ms)
    findings = list(unknown_names.unknown_in_silence(wanted, *known)) if known else []
    if findings:
        return _print_findings(findings, out)
    try:
        added = add_silence(state_file, wanted)
    except ValueError as error:
        out(str(error))
        return 2
    out(f"silence {added.id} until {_clock(added.until_ms, ZoneInfo(timezone))}")
    return 0


def alerts_silences(
    state_file: Path, now_ms: int, timezone: str = "Europe/London", out: Out = print
) -> int:
    """Lists silences in force and planned."""
    for silence in list_silences(state_file, now_ms):
        begins, ends = (
            _clock(ms, ZoneInfo(timezone)) for ms in (silence.from_ms, silence.until_ms)
        )
        kind = "maintenance" if silence.planned else "silence"
        out(
            f"{silence.id:>4}  {kind}: {silence.scope_text}, {begins} to {ends}, "
            f"{silence.who}: {silence.why}"
        )
    return 0


def alerts_unsilence(state_file: Path, id: int, now_ms: int, out: Out = print) -> int:
    """Ends a silence now."""
    if end_silence(state_file, id, now_ms):
        out(f"silence {id} has ended")
        return 0
    out(f"there is no silence {id} in force or planned")
    return 2


def _alert_lines(alert: Alert, now_ms: int, zone: ZoneInfo) -> list[str]:
    ended = alert.resolved_ms is not None
    state = "resolved" if ended else alert.state
    age = duration_text(((alert.resolved_ms or now_ms) - alert.since_ms) / 1000)
    lines = [f"{alert.severity:<8}  {state:<8}  {alert.summary}"]
    about = [f"since {_clock(alert.since_ms, zone)} ({age})"]
    affected = describe_affected(alert.affected)
    if affected:
        about.append(f"{affected} affected")
    if alert.suppressed_by:
        about.append(f"caused by {alert.suppressed_by}")
    if alert.acknowledged_by:
        about.append(_acknowledged_text(alert, zone))
    if alert.silenced_until_ms > now_ms:
        about.append(f"silenced until {_clock(alert.silenced_until_ms, zone)}")
    lines.append(f"{'':20}{alert.key}: {', '.join(about)}")
    if not ended and alert.cause:
        lines.append(f"{'':20}{alert.cause}")
    return lines


def _acknowledged_text(alert: Alert, zone: ZoneInfo) -> str:
    at = f" {_clock(alert.acknowledged_ms, zone)}" if alert.acknowledged_ms else ""
    why = f" ({alert.acknowledged_why})" if alert.acknowledged_why else ""
    return f"acknowledged by {alert.acknowledged_by}{at}{why}"


def _hidden_alerts_line(alerts: Sequence[Alert]) -> str:
    hidden = len(alerts)
    return f"Nothing is firing; {hidden} pending or suppressed (--all shows them)."


def _print_findings(findings: Sequence[str], out: Out) -> int:
    for finding in findings:
        out(finding)
    return 2


def _clock(ms: int, zone: ZoneInfo) -> str:
    local = datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %H:%M}"

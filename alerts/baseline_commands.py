"""`towpath baseline …`. Each function returns its exit code: 0 if all is well, 2 if
arguments are wrong."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from alerts.baseline_access import (
    BaselineChoice,
    BaselinePart,
    baseline_parts,
    choose_for_baseline,
)
from alerts.clock_text import clock_text
from probes.wire.catalogue import did_you_mean

Out = Callable[[str], None]
_SEVERITIES = ("critical", "warning", "info")
# Rules about a whole device or gateway: one line names all of them.
_WHOLE = {
    "device_unreachable": "never answered",
    "vpn_gateway_down": "never answered",
    "site_unreachable": "never answered with any device",
    "device_unreadable": "could never be read",
}
_NEXT = (
    "These page nobody until they have been well once. If one is meant to be so, "
    "`towpath baseline accept KEY`; if it is a fault, `towpath baseline alert KEY`. "
    "A KEY may contain *."
)


def baseline_list(
    state_file: Path,
    everything: bool = False,
    as_json: bool = False,
    timezone: str = "Europe/London",
    out: Out = print,
) -> int:
    """Lists what was so when its device was first seen. `everything` includes what an
    engineer has accepted."""
    parts = baseline_parts(state_file)
    shown = [part for part in parts if everything or part.choice != "accept"]
    if as_json:
        rows = [{**msgspec.to_builtins(part), "key": part.alert.key} for part in shown]
        out(msgspec.json.encode(rows).decode())
        return 0
    accepted = len(parts) - len(shown)
    if not shown:
        out("The baseline is empty: nothing was wrong when it was first seen.")
    for line in _lines(shown, ZoneInfo(timezone)):
        out(line)
    if shown:
        out(_NEXT)
    if accepted:
        out(f"{accepted} more are accepted (--all shows them).")
    return 0


def baseline_choose(
    state_file: Path,
    patterns: Sequence[str],
    choice: BaselineChoice,
    who: str,
    why: str,
    now_ms: int,
    out: Out = print,
) -> int:
    """Accepts what matches `patterns`, or makes alerts of it."""
    keys = {part.alert.key: part for part in baseline_parts(state_file)}
    chosen: dict[str, BaselinePart] = {}
    for pattern in patterns:
        matching = {k: p for k, p in keys.items() if fnmatch.fnmatchcase(k, pattern)}
        if pattern in keys:
            matching = {pattern: keys[pattern]}
        if not matching:
            hint = did_you_mean(pattern, keys)
            out(f"nothing in the baseline is called {pattern!r}{hint}")
            return 2
        chosen |= matching
    choose_for_baseline(state_file, chosen, choice, who, why, now_ms)
    verb = "accepted" if choice == "accept" else "becomes an alert"
    for part in chosen.values():
        out(f"{verb}: {part.alert.summary}")
    return 0


def baseline_learn(
    state_file: Path,
    device: str,
    known: Collection[str],
    who: str,
    now_ms: int,
    out: Out = print,
) -> int:
    """Learns a device again, because it was replaced or rebuilt."""
    if device not in known:
        out(f"no device is called {device!r}{did_you_mean(device, known)}")
        return 2
    choose_for_baseline(state_file, [f"device={device}"], "learn", who, "", now_ms)
    out(f"{device} is learnt again: what is so at its next polls is its baseline")
    return 0


def _lines(parts: Sequence[BaselinePart], zone: ZoneInfo) -> Iterator[str]:
    whole = [part for part in parts if part.alert.rule in _WHOLE]
    for rule, text in _WHOLE.items():
        names = sorted(
            next(iter(part.alert.subject.values()))
            for part in whole
            if part.alert.rule == rule
        )
        if names:
            yield f"{text} ({len(names)}): {', '.join(names)}"
    rest = [part for part in parts if part.alert.rule not in _WHOLE]
    rest.sort(key=lambda part: (_SEVERITIES.index(part.alert.severity), part.alert.key))
    for part in rest:
        alert = part.alert
        yield f"{alert.severity:<8}  {alert.summary}"
        since = f"so since {clock_text(alert.since_ms, zone)}"
        if part.choice:
            since += f", {part.choice} by {part.who}"
            since += f": {part.why}" if part.why else ""
        yield f"{'':10}{alert.key}: {since}"

"""Is it me? Turns the latest results into a few plain sentences. Pure.

A problem that hides all others comes first. Then comes the cause nearest to the person,
because problems further away mostly follow from it: a weak Wi-Fi slows the VPN too.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probes.wire import diagnosis
from probes.wire.call_cause import Cause, cause
from probes.wire.diagnosis import TELL_IF_IT_LASTS, Diagnosis, LaptopResults
from probes.wire.failure import NOT_MEASURED, Outcome
from probes.wire.line_diagnosis import line_now, line_speed
from probes.wire.network_diagnosis import network, slow_names
from probes.wire.outcome_text import OUTCOME_TEXT
from probes.wire.probe_list import PROBES
from probes.wire.report import Result, Whereabouts
from probes.wire.result_summary import call_summary
from probes.wire.service_diagnosis import council, microsoft, telephony

HOUR_MS = 3_600_000
# On a metered connection, probes that use the network run every two hours.
_FRESH_METERED_MS = 3 * HOUR_MS
NOWHERE = Whereabouts()
_CAUSE_UNKNOWN = (
    "The measurements do not show where the problem is.",
    TELL_IF_IT_LASTS,
)
_CAUSE_BEYOND_LAPTOP = {
    "provider": (
        "Other connections from here are slow too, so it is probably your provider's "
        "network. Ask your provider to fix it if it lasts.",
        "",
    ),
    "edge": (
        "Other connections from here work well, so it is probably the council's own "
        "network and nothing on your side.",
        TELL_IF_IT_LASTS,
    ),
}
_NEAR_SEGMENTS = frozenset({"network", "laptop", "wifi"})


class LaptopVerdict(msgspec.Struct, frozen=True):
    """`headline` is the sentence to read first. `problems` are in the order to fix them
    in; `healthy` holds what was measured and found to work. Without `measured` nothing
    is known of the connection, neither good nor bad."""

    good: bool
    headline: str
    problems: tuple[Diagnosis, ...] = ()
    healthy: tuple[Diagnosis, ...] = ()
    measured: bool = True


def verdict(
    results: Sequence[Result],
    now_ms: int,
    where: Whereabouts = NOWHERE,
    since_ms: int = 0,
) -> LaptopVerdict:
    """The verdict at `now_ms` on `results`, the latest of each probe and target.

    Results from before `since_ms` are ignored: they belong to another network.
    """
    fresh = _fresh(results, now_ms, since_ms, where)
    latest = LaptopResults(fresh, where)
    hiding = network(latest)
    if hiding and not latest.reached():
        return LaptopVerdict(False, hiding[0].says, tuple(hiding))
    near = [*diagnosis.wifi(latest), *line_now(latest)]
    findings = [
        *hiding,
        *diagnosis.laptop(latest),
        *near,
        *diagnosis.vpn(latest),
        # A lost packet delays a look-up by seconds.
        *(slow_names(latest) if all(found.good for found in near) else ()),
        *council(latest),
        *microsoft(latest),
        *telephony(latest),
    ]
    # The speed test may be a day old: it does not explain what goes wrong now.
    slow_line = [found for found in line_speed(latest) if not found.good]
    problems = [found for found in findings if not found.good]
    now = [result for result in fresh if result.probe != "bandwidth"]
    poor = _poor_calls(latest, cause(now, where))
    if poor is not None and not problems:
        problems.append(poor)
    problems += slow_line
    blamed = {problem.segment for problem in problems}
    healthy = tuple(
        found for found in findings if found.good and found.segment not in blamed
    )
    if problems:
        # What is slow at other times says too much while something else is wrong.
        said = [found for found in problems if found not in slow_line] or slow_line
        headline = _headline(said, healthy, poor)
        return LaptopVerdict(False, headline, tuple(problems), healthy)
    if not latest.reached():
        text = "nothing was measured over the network in the last hour"
        why = _why_not_measured(results, now_ms)
        return LaptopVerdict(True, f"{text}{why}", (), healthy, measured=False)
    return LaptopVerdict(True, _good_headline(latest), (), healthy)


def _why_not_measured(results: Sequence[Result], now_ms: int) -> str:
    """`: the laptop is on battery`, of the call path before others."""
    tried = [
        result
        for result in results
        if result.outcome in NOT_MEASURED and now_ms - result.time_ms < HOUR_MS
    ]
    tried.sort(key=lambda result: (result.probe != "call_path", -result.time_ms))
    for result in tried:
        _, colon, why = OUTCOME_TEXT[result.outcome].partition(": ")
        if colon:
            return f": {why}"
    return ""


def _fresh(
    results: Sequence[Result], now_ms: int, since_ms: int, where: Whereabouts
) -> list[Result]:
    # Yesterday's speed test still counts, but not that it met a sign-in page.
    usual_ms = _FRESH_METERED_MS if where.connection == "mobile" else HOUR_MS
    fresh_ms = {probe.name: 1000 * probe.fresh_s for probe in PROBES if probe.fresh_s}
    return [
        result
        for result in results
        if result.time_ms >= since_ms
        and now_ms - result.time_ms
        < (
            fresh_ms.get(result.probe, usual_ms)
            if result.outcome is Outcome.OK
            else usual_ms
        )
        and result.outcome not in NOT_MEASURED
    ]


def _headline(
    problems: Sequence[Diagnosis],
    healthy: Sequence[Diagnosis],
    poor: Diagnosis | None,
) -> str:
    """The first two problems, and the nearest thing beyond them that works."""
    text = problems[0].says
    if len(problems) > 1:
        text += f", and {problems[1].says}"
    if poor is not None and problems[0] is not poor:
        text += ", so calls may be poor"
    # A person with a weak Wi-Fi wants to know that the line is not to blame.
    order = ("line", "wifi", "vpn", "council", "laptop")
    beyond = sorted(
        (finding for finding in healthy if finding.segment in order),
        key=lambda diagnosis: order.index(diagnosis.segment),
    )
    named = {problem.segment for problem in problems}
    for finding in beyond:
        if finding.segment not in named and (
            problems[0].segment in _NEAR_SEGMENTS or finding.segment in {"line", "wifi"}
        ):
            return f"{text}; {finding.says}"
    return text


def _good_headline(latest: LaptopResults) -> str:
    calls = latest.newest_ok("call_path")
    if calls is not None:
        return f"your connection looks good{_figures(calls)}"
    return "your connection works; call quality was not measured"


def _poor_calls(latest: LaptopResults, where: Cause | None) -> Diagnosis | None:
    calls = latest.newest_ok("call_path")
    if calls is None or calls.values.get("poor") != 1:
        return None
    do, tell = _CAUSE_BEYOND_LAPTOP.get(where or "unknown", _CAUSE_UNKNOWN)
    says = f"calls may be poor{_figures(calls)}"
    return Diagnosis("calls", False, says, do, tell)


def _figures(calls: Result) -> str:
    figures = call_summary(calls)
    return f": {figures}" if figures else ""

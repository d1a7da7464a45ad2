"""Is it me? Turns the latest results into a few plain sentences. Pure.

A problem that hides all others comes first. Then comes the cause nearest to the person,
because problems further away mostly follow from it: a weak Wi-Fi slows the VPN too.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probes.wire import diagnosis
from probes.wire.call_cause import Cause, cause
from probes.wire.diagnosis import Diagnosis, LaptopResults, failures, is_microsoft
from probes.wire.failure import NOT_MEASURED, Outcome
from probes.wire.outcome_text import OUTCOME_TEXT
from probes.wire.probe_list import PROBES, probe_title
from probes.wire.report import Result, Whereabouts
from probes.wire.result_summary import call_summary

HOUR_MS = 3_600_000
# On a metered connection, probes that use the network run every two hours.
_FRESH_METERED_MS = 3 * HOUR_MS
NOWHERE = Whereabouts()
_CAUSE_UNKNOWN = (
    "The measurements do not show where the problem is. Tell the service desk if it "
    "lasts."
)
_CAUSE_BEYOND_LAPTOP = {
    "provider": "Other connections from here are slow too, so it is probably your "
    "provider's network. Ask your provider to fix it if it lasts.",
    "edge": "Other connections from here work well, so it is probably the council's "
    "own network and nothing on your side. Tell the service desk if it lasts.",
}
_NEAR_SEGMENTS = frozenset({"network", "laptop", "wifi"})

# Failures in which something at the far end answered, so the way there works.
_ANSWERED = frozenset(
    {
        Outcome.REFUSED,
        Outcome.AUTH_FAILED,
        Outcome.BAD_ANSWER,
        Outcome.NAME_NOT_FOUND,
    }
)


class LaptopVerdict(msgspec.Struct, frozen=True):
    """`headline` is the sentence to read first. `problems` are in the order to fix them
    in; `healthy` holds what was measured and found to work."""

    good: bool
    headline: str
    problems: tuple[Diagnosis, ...] = ()
    healthy: tuple[Diagnosis, ...] = ()


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
    hiding = diagnosis.network(latest)
    if hiding and not hiding[0].good and not latest.reached():
        return LaptopVerdict(False, hiding[0].says, tuple(hiding))
    near = [
        *hiding,
        *diagnosis.laptop(latest),
        *diagnosis.wifi(latest),
        *diagnosis.line(latest),
        *diagnosis.vpn(latest),
    ]
    findings = [*near, *_council(latest), *_microsoft(latest)]
    problems = [diagnosis for diagnosis in findings if not diagnosis.good]
    poor = _poor_calls(latest, cause(fresh, where))
    if poor is not None and not problems:
        problems.append(poor)
    healthy = [finding for finding in findings if finding.good]
    if any(problem.segment == "line" for problem in problems):
        healthy = [finding for finding in healthy if finding.segment != "line"]
    if problems:
        headline = _headline(problems, healthy, poor)
        return LaptopVerdict(False, headline, tuple(problems), tuple(healthy))
    return LaptopVerdict(True, _good_headline(latest), (), tuple(healthy))


def _fresh(
    results: Sequence[Result], now_ms: int, since_ms: int, where: Whereabouts
) -> list[Result]:
    usual_ms = _FRESH_METERED_MS if where.connection == "mobile" else HOUR_MS
    fresh_ms = {probe.name: 1000 * probe.fresh_s for probe in PROBES if probe.fresh_s}
    return [
        result
        for result in results
        if result.time_ms >= since_ms
        and now_ms - result.time_ms < fresh_ms.get(result.probe, usual_ms)
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
    if (
        latest.newest_ok("web") is not None
        or latest.newest_ok("name_lookup") is not None
    ):
        return "your connection works; call quality was not measured"
    return "nothing was measured in the last hour"


def _poor_calls(latest: LaptopResults, where: Cause | None) -> Diagnosis | None:
    calls = latest.newest_ok("call_path")
    if calls is None or calls.values.get("poor") != 1:
        return None
    return Diagnosis(
        "calls",
        False,
        f"calls may be poor{_figures(calls)}",
        _CAUSE_BEYOND_LAPTOP.get(where or "unknown", _CAUSE_UNKNOWN),
    )


def _figures(calls: Result) -> str:
    figures = call_summary(calls)
    return f": {figures}" if figures else ""


def _council(latest: LaptopResults) -> list[Diagnosis]:
    """The council's reflector and services.

    Leaves out the Teams relay, which need not answer, and the path, because the call
    path shows better what cannot be reached.
    """
    web = [
        result for result in latest.results("web") if not is_microsoft(result.target)
    ]
    failed = failures(
        [*web, *latest.results("name_lookup"), *latest.results("bandwidth")]
    )
    problems = _problems("council", failed, latest)
    failed_calls = failures(latest.results("call_path"))
    # If the nearest reflector does not answer, the agent tries the next one.
    if failed_calls and latest.newest_ok("call_path") is None:
        problems = [*_problems("council", failed_calls[:1], latest), *problems]
    if problems:
        return problems
    if any(result.outcome is Outcome.OK for result in web):
        return [Diagnosis("council", True, "the council's services answer")]
    return []


def _microsoft(latest: LaptopResults) -> list[Diagnosis]:
    web = [result for result in latest.results("web") if is_microsoft(result.target)]
    problems = _problems("microsoft", failures(web), latest)
    if problems:
        return problems
    if any(result.outcome is Outcome.OK for result in web):
        return [Diagnosis("microsoft", True, "Microsoft 365 answers")]
    return []


def _problems(
    segment: diagnosis.Segment, failed: Sequence[Result], latest: LaptopResults
) -> list[Diagnosis]:
    """One diagnosis for each sentence, however many results it describes."""
    by_text = {_failure_text(result): result for result in failed}
    return [
        Diagnosis(segment, False, text, _what_to_do(by_text[text], latest))
        for text in sorted(by_text)
    ]


def _what_to_do(result: Result, latest: LaptopResults) -> str:
    if result.outcome is Outcome.UDP_BLOCKED:
        return (
            "Something between you and the council blocks UDP (a firewall or guest "
            "Wi-Fi), so call quality is reduced. Another network may work better."
        )
    if result.outcome is Outcome.NO_NETWORK:
        return (
            "This network does not support that kind of address (IPv4 or IPv6 only). "
            "Tell the service desk."
        )
    if result.outcome is Outcome.TLS_FAILED:
        return "Do not enter passwords there. Tell the service desk."
    if latest.reached() or result.outcome in _ANSWERED:
        return "Nothing is wrong on your side. Tell the service desk if it lasts."
    return "Restart your router, or try another network."


def _failure_text(result: Result) -> str:
    if result.probe == "name_lookup" and result.outcome is Outcome.NAME_NOT_FOUND:
        return f"the name {result.target} {OUTCOME_TEXT[result.outcome]}"
    name = result.target or probe_title(result.probe)
    return f"{name} {OUTCOME_TEXT[result.outcome]}"

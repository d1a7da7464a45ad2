"""Is it me? From what was last seen to a few plain sentences. Pure.

What hides everything else is said first, then the cause nearest to the person, since
what is farther away is mostly its consequence: with a weak Wi-Fi the VPN is slow too.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probes.diagnosis.outcome_text import TITLES, WORDS
from probes.wire import diagnosis
from probes.wire.call_cause import Cause, cause
from probes.wire.diagnosis import Diagnosis, LaptopResults, failures, is_microsoft
from probes.wire.failure import NOT_MEASURED, Outcome
from probes.wire.report import Result, Whereabouts

HOUR_MS = 3_600_000
# A speed test a day, and what costs network every two hours on a metered line.
_FRESH_MS = {"bandwidth": 36 * HOUR_MS}
_FRESH_METERED_MS = 3 * HOUR_MS
NOWHERE = Whereabouts()
_ANYWHERE = (
    "Where on the way it happens cannot be told from here; tell the service desk if it "
    "lasts."
)
_BEYOND = {
    "provider": "Other ways out of here are slow too, so it seems to be your "
    "provider's network. It is theirs to mend if it lasts.",
    "edge": "Other ways out of here are well, so it seems to be the council's own "
    "network: nothing on your side. Tell the service desk if it lasts.",
}
_HERE = frozenset({"network", "laptop", "wifi"})

# Failures that somebody out there had to answer for: the way there works.
_ANSWERED = frozenset(
    {
        Outcome.REFUSED,
        Outcome.AUTH_FAILED,
        Outcome.BAD_ANSWER,
        Outcome.NAME_NOT_FOUND,
    }
)


class LaptopVerdict(msgspec.Struct, frozen=True):
    """`headline`: the sentence to read first. `bad`: what is wrong, the first one to
    mend first. `fine`: what was seen to be in order."""

    good: bool
    headline: str
    bad: tuple[Diagnosis, ...] = ()
    fine: tuple[Diagnosis, ...] = ()


def verdict(
    results: Sequence[Result],
    now_ms: int,
    where: Whereabouts = NOWHERE,
    since_ms: int = 0,
) -> LaptopVerdict:
    """What `results` (the last of each probe and target) say at `now_ms`.

    What was measured before `since_ms` was measured in another network.
    """
    fresh = _fresh(results, now_ms, since_ms, where)
    seen = LaptopResults(fresh, where)
    hiding = diagnosis.network(seen)
    if hiding and not hiding[0].good and not seen.reached():
        return LaptopVerdict(False, hiding[0].says, tuple(hiding))
    findings = [
        *hiding,
        *diagnosis.laptop(seen),
        *diagnosis.wifi(seen),
        *diagnosis.line(seen),
        *diagnosis.vpn(seen),
    ]
    bad = [each for each in findings if not each.good]
    far = [*_council(seen), *_microsoft(seen)]
    bad += [each for each in far if not each.good]
    poor = _poor_calls(seen, cause(fresh, where))
    if poor is not None and not bad:
        bad.append(poor)
    fine = [each for each in [*findings, *far] if each.good]
    if any(each.segment == "line" for each in bad):
        fine = [each for each in fine if each.segment != "line"]
    if bad:
        return LaptopVerdict(False, _headline(bad, fine, poor), tuple(bad), tuple(fine))
    return LaptopVerdict(True, _good(seen), (), tuple(fine))


def _fresh(
    results: Sequence[Result], now_ms: int, since_ms: int, where: Whereabouts
) -> list[Result]:
    usual = _FRESH_METERED_MS if where.connection == "mobile" else HOUR_MS
    return [
        each
        for each in results
        if each.time_ms >= since_ms
        and now_ms - each.time_ms < _FRESH_MS.get(each.probe, usual)
        and each.outcome not in NOT_MEASURED
    ]


def _headline(
    bad: Sequence[Diagnosis], fine: Sequence[Diagnosis], poor: Diagnosis | None
) -> str:
    """The first cause, the next one, and what is in order beyond it."""
    said = bad[0].says
    if len(bad) > 1:
        said += f"; and {bad[1].says}"
    if poor is not None and bad[0] is not poor:
        said += ", so calls may be poor"
    # Who has a weak Wi-Fi wants to know that the line is not to blame.
    order = ("line", "wifi", "vpn", "council", "laptop")
    beyond = sorted(
        (each for each in fine if each.segment in order),
        key=lambda each: order.index(each.segment),
    )
    named = {each.segment for each in bad}
    for each in beyond:
        if each.segment not in named and (
            bad[0].segment in _HERE or each.segment in {"line", "wifi"}
        ):
            return f"{said}; {each.says}"
    return said


def _good(seen: LaptopResults) -> str:
    calls = seen.one("call_path")
    if calls is not None:
        return f"your connection looks good: {_call(calls)}"
    if seen.one("web") is not None or seen.one("name_lookup") is not None:
        return "your connection works; its quality for calls was not measured"
    return "nothing was measured in the last hour"


def _poor_calls(seen: LaptopResults, breaks: Cause | None) -> Diagnosis | None:
    calls = seen.one("call_path")
    if calls is None or calls.values.get("poor") != 1:
        return None
    return Diagnosis(
        "calls",
        False,
        f"calls may be poor: {_call(calls)}",
        _BEYOND.get(breaks or "unknown", _ANYWHERE),
    )


def _council(seen: LaptopResults) -> list[Diagnosis]:
    """The council's reflector and services. A relay need not answer, and what the path
    does not reach the call path says better: those two are not asked."""
    web = [each for each in seen.all("web") if not is_microsoft(each.target)]
    failed = failures([*web, *seen.all("name_lookup"), *seen.all("bandwidth")])
    found = [
        Diagnosis("council", False, _said(each), _what_to_do(each, seen))
        for each in _once_each(failed)
    ]
    calls = failures(seen.all("call_path"))
    # The next reflector is asked where the nearest does not answer.
    if calls and seen.one("call_path") is None:
        each = calls[0]
        found.insert(
            0, Diagnosis("council", False, _said(each), _what_to_do(each, seen))
        )
    if found:
        return found
    if any(each.outcome is Outcome.OK for each in web):
        return [Diagnosis("council", True, "the council's services answer")]
    return []


def _microsoft(seen: LaptopResults) -> list[Diagnosis]:
    web = [each for each in seen.all("web") if is_microsoft(each.target)]
    failed = failures(web)
    if not failed:
        worked = any(each.outcome is Outcome.OK for each in web)
        return [Diagnosis("microsoft", True, "Microsoft 365 answers")] if worked else []
    return [
        Diagnosis("microsoft", False, _said(each), _what_to_do(each, seen))
        for each in _once_each(failed)
    ]


def _once_each(results: Sequence[Result]) -> list[Result]:
    by_words = {_said(each): each for each in results}
    return [by_words[said] for said in sorted(by_words)]


def _what_to_do(result: Result, seen: LaptopResults) -> str:
    if result.outcome is Outcome.UDP_BLOCKED:
        return (
            "Something between you and the council holds UDP back (a firewall, guest "
            "Wi-Fi): calls fall back to a poorer way. Another network may do better."
        )
    if result.outcome is Outcome.NO_NETWORK:
        return (
            "This network has no way to that kind of address (IPv4 or IPv6 only): "
            "tell the service desk."
        )
    if result.outcome is Outcome.TLS_FAILED:
        return "Do not enter passwords there; tell the service desk."
    if seen.reached() or result.outcome in _ANSWERED:
        return "Nothing on your side: tell the service desk if it lasts."
    return "Restart your router, or try another network."


def _said(result: Result) -> str:
    if result.probe == "name_lookup" and result.outcome is Outcome.NAME_NOT_FOUND:
        return f"the name {result.target} is not known here"
    whom = result.target or TITLES.get(result.probe, result.probe)
    return f"{whom} {WORDS[result.outcome]}"


def _call(result: Result) -> str:
    rtt, loss = result.values.get("rtt_ms"), result.values.get("loss_ratio")
    jitter = result.values.get("jitter_ms")
    said = f"the council's {result.target or 'reflector'}"
    if isinstance(rtt, int | float):
        said += f" answered in {rtt:.0f} ms"
    if isinstance(loss, int | float):
        said += ", nothing was lost" if loss == 0 else f", {100 * loss:.1f} % was lost"
    if isinstance(jitter, int | float) and jitter >= 30:
        said += f", with {jitter:.0f} ms of jitter"
    return said

"""Whether services are at fault: the council's, Microsoft's, and the servers that take
a team's calls. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from probes.wire.diagnosis import (
    NOT_YOURS,
    TELL_IF_IT_LASTS,
    TELL_NOW,
    Diagnosis,
    LaptopResults,
    Segment,
    is_microsoft,
    is_own_network,
)
from probes.wire.failure import Outcome, is_failure
from probes.wire.network_diagnosis import has_no_lookups, is_no_lookup
from probes.wire.outcome_text import OUTCOME_TEXT
from probes.wire.probe_list import probe_title
from probes.wire.report import Result

# The pages judge the edges of a team by it too.
SLOW_EDGE_MS = 200
_MOST_NAMES = 2
# Failures in which something at the far end answered, so the way there works.
_ANSWERED = frozenset(
    {
        Outcome.REFUSED,
        Outcome.AUTH_FAILED,
        Outcome.BAD_ANSWER,
        Outcome.NAME_NOT_FOUND,
    }
)
# What happens to services inside the council's network if the VPN is not connected.
_OUTSIDE = frozenset(
    {
        Outcome.NAME_NOT_FOUND,
        Outcome.NAME_SERVER_FAILED,
        Outcome.TIMEOUT,
        Outcome.UNREACHABLE,
        Outcome.REFUSED,
    }
)


def council(seen: LaptopResults) -> list[Diagnosis]:
    """Judges the council's services and its reflector.

    Leaves out the Teams relay, which need not answer; the path, because the call path
    shows better what cannot be reached; and the speed test, which nobody waits for.
    """
    web = [result for result in seen.results("web") if not is_microsoft(result.target)]
    failed = _failures([*web, *seen.results("name_lookup")])
    outside = [result for result in failed if result.outcome in _OUTSIDE]
    problems: list[Diagnosis] = []
    if outside and seen.where.vpn == "down" and seen.where.place != "office":
        says = "the VPN is disconnected"
        if services := [result.target for result in outside if result.probe == "web"]:
            says += f", and {_named(services)} cannot be reached"
        do = "Connect the VPN and try again."
        problems = [Diagnosis("vpn", False, says, do, TELL_IF_IT_LASTS)]
        failed = [result for result in failed if result.outcome not in _OUTSIDE]
    problems += _problems("council", failed, seen)
    failed_calls = _failures(seen.results("call_path"))
    # If the nearest reflector does not answer, the agent tries the next one.
    if failed_calls and seen.newest_ok("call_path") is None:
        problems += _problems("council", failed_calls[:1], seen)
    return problems or _good("council", web, "the council's services answer")


def microsoft(seen: LaptopResults) -> list[Diagnosis]:
    """Judges Microsoft 365."""
    web = [result for result in seen.results("web") if is_microsoft(result.target)]
    problems = _problems("microsoft", _failures(web), seen)
    return problems or _good("microsoft", web, "Microsoft 365 answers")


def telephony(seen: LaptopResults) -> list[Diagnosis]:
    """Judges the servers that take the team's calls, if its telephony has some. One of
    several may be away."""
    edges = seen.results("media_edge")
    whose = "the servers that take your team's calls"
    newest = seen.newest_ok("media_edge")
    if newest is None:
        if not _failures(edges):
            return []
        says = f"{whose} do not answer"
        return [Diagnosis("telephony", False, says, NOT_YOURS, TELL_NOW)]
    delay_ms = seen.figure("media_edge", "rtt_ms")
    if delay_ms is not None and delay_ms > SLOW_EDGE_MS:
        says = f"{whose} are slow to answer ({delay_ms:.0f} ms)"
        return [Diagnosis("telephony", False, says, NOT_YOURS, TELL_IF_IT_LASTS)]
    return [Diagnosis("telephony", True, f"{whose} answer")]


def _failures(results: Sequence[Result]) -> list[Result]:
    """Returns the results that were tried and failed, one for each target."""
    return [result for result in results if is_failure(result.outcome)]


def _good(segment: Segment, results: Sequence[Result], says: str) -> list[Diagnosis]:
    """Returns a good diagnosis if any of the services answered."""
    answered = any(result.outcome is Outcome.OK for result in results)
    return [Diagnosis(segment, True, says)] if answered else []


def _problems(
    segment: Segment, failed: Sequence[Result], seen: LaptopResults
) -> list[Diagnosis]:
    """One diagnosis for each way to fail, however many services do. What fails because
    no name server answers is left to the diagnosis of the network."""
    alike: dict[Outcome, list[Result]] = {}
    hidden = has_no_lookups(seen)
    for result in failed:
        if not (hidden and is_no_lookup(result)):
            alike.setdefault(result.outcome, []).append(result)
    found = []
    for results in alike.values():
        do, tell = _advice(results[0], seen)
        found.append(Diagnosis(segment, False, _text(results), do, tell))
    return sorted(found, key=lambda diagnosis: diagnosis.says)


def _text(failed: Sequence[Result]) -> str:
    text = OUTCOME_TEXT[failed[0].outcome]
    names = sorted({_name(result) for result in failed})
    if len(names) > 1:
        for one, many in (("has ", "have "), ("is ", "are ")):
            text = many + text.removeprefix(one) if text.startswith(one) else text
        return f"{_named(names)} {text}"
    if failed[0].outcome is Outcome.NAME_NOT_FOUND and all(
        result.probe == "name_lookup" for result in failed
    ):
        return f"the name {names[0]} {text}"
    return f"{names[0]} {text}"


def _name(result: Result) -> str:
    name = result.target or probe_title(result.probe)
    # A reflector may be called like the building that it is in.
    return f"the test server {name}" if result.probe == "call_path" else name


def _named(names: Sequence[str]) -> str:
    """`finance, intranet and 3 more`."""
    names = sorted(set(names))
    if len(names) <= _MOST_NAMES:
        return " and ".join(names)
    return f"{', '.join(names[:_MOST_NAMES])} and {len(names) - _MOST_NAMES} more"


def _advice(result: Result, seen: LaptopResults) -> tuple[str, str]:
    if result.outcome is Outcome.UDP_BLOCKED:
        do = (
            "Something between you and the council blocks UDP (a firewall or guest "
            "Wi-Fi), so call quality is reduced. Another network may work better."
        )
        return do, ""
    if result.outcome is Outcome.NO_NETWORK:
        do = "This network does not support that kind of address (IPv4 or IPv6 only)."
        return do, TELL_NOW
    if result.outcome is Outcome.TLS_FAILED:
        return "Do not enter passwords there.", TELL_NOW
    if seen.where.place == "office" or seen.reached() or result.outcome in _ANSWERED:
        return NOT_YOURS, TELL_IF_IT_LASTS
    if is_own_network(seen.where):
        return "Restart your router, or try another network.", ""
    return "Try another network.", ""

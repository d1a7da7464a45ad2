"""Whether the network hides everything else: none there, a sign-in page, a wrong clock,
no name server. And whether names are looked up slowly. Pure."""

from __future__ import annotations

from statistics import median

from probes.wire.diagnosis import (
    ANOTHER_NETWORK,
    NOT_YOURS,
    RECEPTION,
    TELL_IF_IT_LASTS,
    TELL_NOW,
    Diagnosis,
    LaptopResults,
    is_own_network,
)
from probes.wire.failure import Outcome
from probes.wire.report import Result

SLOW_LOOKUP_MS = 1_000
_NO_ANSWER = frozenset({Outcome.NAME_SERVER_FAILED, Outcome.TIMEOUT})


def network(seen: LaptopResults) -> list[Diagnosis]:
    """Judges what hides everything else: no network, a sign-in page, a wrong clock, no
    DNS. Returns at most one, which must be fixed first."""
    outcomes = {result.outcome for result in seen.tried()}
    if Outcome.NO_NETWORK in outcomes and not seen.reached():
        return [
            Diagnosis(
                "network",
                False,
                "this laptop has no network",
                "Connect a cable or join a Wi-Fi. Check that flight mode is off.",
            )
        ]
    if Outcome.CAPTIVE_PORTAL in outcomes:
        return [
            Diagnosis(
                "network",
                False,
                "a sign-in page (hotel, train) is waiting",
                "Open any web page in your browser, and the sign-in page appears.",
            )
        ]
    if Outcome.CLOCK_WRONG in outcomes:
        return [
            Diagnosis(
                "network",
                False,
                "this laptop's clock is wrong, so nothing secure can be reached",
                "Set date and time automatically in the system's settings.",
            )
        ]
    return _name_servers(seen)


def is_no_lookup(result: Result) -> bool:
    """Returns whether the name server did not answer, so nothing else was tried."""
    failed = result.outcome is Outcome.NAME_SERVER_FAILED
    return failed or (result.probe == "name_lookup" and result.outcome in _NO_ANSWER)


def has_no_lookups(seen: LaptopResults) -> bool:
    """Returns whether no name server answers."""
    if lookups := seen.results("name_lookup"):
        outcomes = {result.outcome for result in lookups}
        return Outcome.OK not in outcomes and not outcomes.isdisjoint(_NO_ANSWER)
    tried = {result.outcome for result in seen.tried()}
    return Outcome.NAME_SERVER_FAILED in tried and not seen.reached()


def _name_servers(seen: LaptopResults) -> list[Diagnosis]:
    if not has_no_lookups(seen):
        return []
    failed = [r for r in seen.results("name_lookup") if r.outcome in _NO_ANSWER]
    whose = "the VPN's" if _through_vpn(failed) else "this network's"
    do, tell = _name_advice(failed, seen)
    says = f"{whose} name server does not answer"
    return [Diagnosis("network", False, says, do, tell)]


def slow_names(seen: LaptopResults) -> list[Diagnosis]:
    """Judges how long names take. One slow name among others is its own fault."""
    worked = [r for r in seen.results("name_lookup") if r.outcome is Outcome.OK]
    times_ms = [
        value
        for result in worked
        if isinstance(value := result.values.get("lookup_ms"), int | float)
    ]
    if not times_ms or not median(times_ms) >= SLOW_LOOKUP_MS:
        return []
    do, tell = _name_advice(worked, seen)
    through = " through the VPN" if _through_vpn(worked) else ""
    says = f"DNS lookups{through} are slow ({median(times_ms) / 1000:.1f} s)"
    return [Diagnosis("network", False, says, do, tell)]


def _through_vpn(lookups: list[Result]) -> bool:
    return any(result.values.get("resolver_through_vpn") == 1 for result in lookups)


def _name_advice(lookups: list[Result], seen: LaptopResults) -> tuple[str, str]:
    if _through_vpn(lookups):
        return "Disconnect the VPN and connect it again.", TELL_IF_IT_LASTS
    if seen.where.place == "office":
        return NOT_YOURS, TELL_NOW
    if is_own_network(seen.where):
        return "Restart your router.", TELL_IF_IT_LASTS
    return RECEPTION if seen.where.connection == "mobile" else ANOTHER_NETWORK, ""

"""Where in the chain one poor call breaks: one word of a closed list. Pure.

The laptop's own "Is it me?" and the council's groups judge by the same segments
(`diagnosis`), in the same order: the cause nearest to the person first, since
what is farther away is mostly its consequence. Beyond the first routers of the provider
one laptop sees less, and compares: whom else it reached in those minutes, and how well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from probes.wire import diagnosis
from probes.wire.diagnosis import Diagnosis, LaptopResults, is_microsoft
from probes.wire.failure import NOT_MEASURED, Outcome, is_failure
from probes.wire.report import Result, Whereabouts

# `line`: from the first router to the provider's first ones; at home the home line, at
# an office the building's. `edge`: the council's own network up to the reflector.
Cause = Literal[
    "laptop", "wifi", "line", "provider", "vpn", "edge", "microsoft", "unknown"
]
CAUSES: tuple[Cause, ...] = get_args(Cause)
# Microsoft's target for a round trip (2018 table), as the call path is held to it.
TARGET_RTT_MS = 100
_NEAR: tuple[tuple[Cause, Callable[[LaptopResults], list[Diagnosis]]], ...] = (
    ("laptop", diagnosis.laptop),
    ("wifi", diagnosis.wifi),
    ("line", diagnosis.line),
    ("vpn", diagnosis.vpn),
)


def cause(results: Sequence[Result], where: Whereabouts) -> Cause | None:
    """Where it breaks by the results of one laptop at one place within a window; None
    where it does not break, or no call path was measured.

    The newest result of a probe and target counts.
    """
    seen = LaptopResults(_newest(results), where)
    if not _tried(seen, "call_path"):
        return None
    if not _is_poor(seen):
        # All that both ways share is proved by the one that is well.
        return _microsoft_alone(seen)
    for name, judge in _NEAR:
        if any(not each.good for each in judge(seen)):
            return name
    return _beyond(seen)


def _newest(results: Sequence[Result]) -> list[Result]:
    latest: dict[tuple[str, str], Result] = {}
    for each in sorted(results, key=lambda result: result.time_ms):
        if each.outcome not in NOT_MEASURED:
            latest[each.probe, each.target] = each
    return list(latest.values())


def _is_poor(seen: LaptopResults) -> bool:
    """The next reflector is asked where the nearest does not answer: one that worked
    is the call."""
    found = seen.one("call_path")
    return found is None or found.values.get("poor") == 1


def _beyond(seen: LaptopResults) -> Cause:
    """Everything up to the provider's first routers seems well, and yet it is poor."""
    if seen.where.place == "office":
        # The building's line is judged above; what is left before the reflector is the
        # council's own.
        return "edge" if _stations(seen) else "unknown"
    others = _beside(seen)
    if not others:
        return "unknown"
    return "edge" if all(others) else "provider" if not any(others) else "unknown"


def _stations(seen: LaptopResults) -> bool:
    return seen.figure("path", "provider_rtt_ms") is not None


def _beside(seen: LaptopResults) -> list[bool]:
    """Whether other ways through the same provider are well: to the VPN's gateway
    beside the tunnel, and to Microsoft where that does not pass the council's edge."""
    found = []
    loss = seen.figure("vpn", "direct_loss_ratio")
    delay = seen.figure("vpn", "direct_rtt_ms")
    if loss is not None or delay is not None:
        found.append(
            (loss or 0.0) < diagnosis.LOSS_RATIO and (delay or 0.0) < TARGET_RTT_MS
        )
    if _microsoft_is_direct(seen) and (relay := _relay_is_well(seen)) is not None:
        found.append(relay)
    return found


def _microsoft_alone(seen: LaptopResults) -> Cause | None:
    """The call path is well. Is the way to Microsoft?"""
    poor = _relay_is_well(seen) is False
    failed = [
        is_failure(each.outcome)
        for each in _tried(seen, "web")
        if is_microsoft(each.target)
    ]
    if not poor and not (failed and all(failed)):
        return None
    # At an office, or through the tunnel, it leaves by the council's edge.
    return "microsoft" if _microsoft_is_direct(seen) else "edge"


def _microsoft_is_direct(seen: LaptopResults) -> bool:
    if seen.where.place == "office":
        return False
    vpn = seen.one("vpn")
    return (
        vpn is None
        or vpn.values.get("up") != 1
        or vpn.values.get("teams_way") == "split_out"
    )


def _relay_is_well(seen: LaptopResults) -> bool | None:
    """By its round trip alone: that it does not answer, or not all, is not judged."""
    delay = seen.figure("teams_relay", "rtt_ms")
    return None if delay is None else delay < TARGET_RTT_MS


def _tried(seen: LaptopResults, probe: str) -> list[Result]:
    return [
        each
        for each in seen.all(probe)
        if each.outcome is Outcome.OK or is_failure(each.outcome)
    ]

"""The cause of a poor call: one word of a closed list. Pure.

The laptop's own "Is it me?" and the council's groups judge the same segments
(`diagnosis`) in the same order. The cause nearest to the user comes first, because what
is farther away is usually its consequence. Beyond the first routers of the provider one
laptop sees less, and compares: what else it reached in those minutes, and how well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from probes.wire import diagnosis, line_diagnosis
from probes.wire.diagnosis import Diagnosis, LaptopResults, is_microsoft
from probes.wire.failure import NOT_MEASURED, Outcome, is_failure
from probes.wire.report import Result, Whereabouts

# `line`: from the first router to the provider's first ones: the home line, or the
# office building's. `edge`: the council's own network up to the reflector.
Cause = Literal[
    "laptop", "wifi", "line", "provider", "vpn", "edge", "microsoft", "unknown"
]
CAUSES: tuple[Cause, ...] = get_args(Cause)
# Microsoft's target for a round trip (2018 table), which the call path uses too.
TARGET_RTT_MS = 100
_NEAR: tuple[tuple[Cause, Callable[[LaptopResults], list[Diagnosis]]], ...] = (
    ("laptop", diagnosis.laptop),
    ("wifi", diagnosis.wifi),
    ("line", line_diagnosis.line),
    ("vpn", diagnosis.vpn),
)


def cause(results: Sequence[Result], where: Whereabouts) -> Cause | None:
    """Returns the cause by the results of one laptop at one place within a window; None
    if calls are good, or if no call path was measured.

    Only the newest result of each probe and target counts.
    """
    seen = LaptopResults(_newest(results), where)
    if not _tried(seen, "call_path"):
        return None
    if not _is_poor(seen):
        # What both paths share works, because the call path does.
        return _microsoft_alone(seen)
    for name, judge in _NEAR:
        if any(not diagnosis.good for diagnosis in judge(seen)):
            return name
    return _beyond(seen)


def _newest(results: Sequence[Result]) -> list[Result]:
    latest: dict[tuple[str, str], Result] = {}
    for result in sorted(results, key=lambda result: result.time_ms):
        if result.outcome not in NOT_MEASURED:
            latest[result.probe, result.target] = result
    return list(latest.values())


def _is_poor(seen: LaptopResults) -> bool:
    """Returns whether the call is poor. If the nearest reflector does not answer, the
    next one is measured; one that worked counts."""
    call = seen.newest_ok("call_path")
    return call is None or call.values.get("poor") == 1


def _beyond(seen: LaptopResults) -> Cause:
    """Returns the cause if everything up to the provider's first routers seems good,
    and the call is still poor."""
    if seen.where.place == "office":
        # The building's line is judged above. What remains before the reflector is the
        # council's own network.
        return "edge" if _has_provider(seen) else "unknown"
    others = _other_paths(seen)
    if not others:
        return "unknown"
    return "edge" if all(others) else "provider" if not any(others) else "unknown"


def _has_provider(seen: LaptopResults) -> bool:
    return seen.figure("path", "provider_rtt_ms") is not None


def _other_paths(seen: LaptopResults) -> list[bool]:
    """Returns whether other paths through the same provider are good: to the VPN's
    gateway outside the tunnel, and to Microsoft if that does not pass the council's
    edge."""
    good = []
    loss = seen.figure("vpn", "direct_loss_ratio")
    delay = seen.figure("vpn", "direct_rtt_ms")
    if loss is not None or delay is not None:
        good.append(
            (loss or 0.0) < diagnosis.LOSS_RATIO and (delay or 0.0) < TARGET_RTT_MS
        )
    if _microsoft_is_direct(seen) and (relay := _relay_is_good(seen)) is not None:
        good.append(relay)
    return good


def _microsoft_alone(seen: LaptopResults) -> Cause | None:
    """Returns the cause if the call path is good, but the path to Microsoft is not."""
    poor = _relay_is_good(seen) is False
    failed = [
        is_failure(result.outcome)
        for result in _tried(seen, "web")
        if is_microsoft(result.target)
    ]
    if not poor and not (failed and all(failed)):
        return None
    # At an office, or through the tunnel, traffic leaves by the council's edge.
    return "microsoft" if _microsoft_is_direct(seen) else "edge"


def _microsoft_is_direct(seen: LaptopResults) -> bool:
    if seen.where.place == "office":
        return False
    vpn = seen.newest_ok("vpn")
    return (
        vpn is None
        or vpn.values.get("up") != 1
        or vpn.values.get("teams_way") == "split_out"
    )


def _relay_is_good(seen: LaptopResults) -> bool | None:
    """Judges by the round trip alone: missing answers may be the relay's own limit."""
    delay = seen.figure("teams_relay", "rtt_ms")
    return None if delay is None else delay < TARGET_RTT_MS


def _tried(seen: LaptopResults, probe: str) -> list[Result]:
    return [
        result
        for result in seen.results(probe)
        if result.outcome is Outcome.OK or is_failure(result.outcome)
    ]

"""Whether the line is at fault: the way from the first router to the provider, and its
speed. Pure.

What is lost or late before the first router is missing beyond it too, and is the
Wi-Fi's or the cable's: a line is blamed for its own part alone.
"""

from __future__ import annotations

from probes.wire.diagnosis import (
    ANOTHER_NETWORK,
    LOSS_RATIO,
    NOT_YOURS,
    POOR_GRADES,
    RECEPTION,
    Diagnosis,
    LaptopResults,
    is_own_network,
    laptop,
    line_name,
    to_the_router,
    wifi,
)
from probes.wire.report import Result, Whereabouts

_PROVIDER_MS = 80
_LEAST_UP_BPS = 1_000_000
_LEAST_DOWN_BPS = 2_000_000


def line(seen: LaptopResults) -> list[Diagnosis]:
    """Judges the line from the first router to the provider, and its speed."""
    now, speed = line_now(seen), line_speed(seen)
    problems = [found for found in [*now, *speed] if not found.good]
    return problems or (now or speed)[:1]


def line_now(seen: LaptopResults) -> list[Diagnosis]:
    """Judges the line by the last measurement of the path."""
    whose, (do, tell) = line_name(seen.where), _line_advice(seen.where)
    problems: list[Diagnosis] = []
    if seen.where.connection != "wifi":
        problems += to_the_router(seen)
    loss = seen.figure("path", "provider_loss_ratio")
    delay = seen.figure("path", "provider_rtt_ms")
    is_lossy = loss is not None and loss >= LOSS_RATIO
    is_slow = delay is not None and delay >= _PROVIDER_MS
    if (is_lossy or is_slow) and _is_before_the_router(seen):
        # What is lost or late there already is missing at the provider too.
        return problems
    if is_lossy:
        says = f"{whose} loses {loss:.0%} of packets"
        problems.append(Diagnosis("line", False, says, do, tell))
    elif is_slow:
        says = f"{whose} is slow to answer ({delay:.0f} ms)"
        if is_own_network(seen.where):
            do = (
                "Something may be using the whole line: pause uploads, backups and "
                "films, on other devices too. If that does not help, restart your "
                "router."
            )
        problems.append(Diagnosis("line", False, says, do, tell))
    if problems:
        return problems
    # A good call path proves the line that it went over.
    calls = seen.newest_ok("call_path")
    proven = calls is not None and calls.values.get("poor") == 0
    if loss is not None or delay is not None or proven:
        return [Diagnosis("line", True, f"{whose} is fine")]
    return []


def _line_advice(where: Whereabouts) -> tuple[str, str]:
    """Returns what the person can do about a line, and whom they tell."""
    if where.place == "office":
        return NOT_YOURS, "Tell the service desk which office you are in."
    if where.connection == "mobile":
        return RECEPTION, ""
    if not is_own_network(where):
        return ANOTHER_NETWORK, ""
    return "Restart your router. If that does not help, contact your provider.", ""


def _is_before_the_router(seen: LaptopResults) -> bool:
    """Returns whether most of what is lost or late at the provider is so before the
    first router; also if that is not known, and the Wi-Fi is bad."""
    if to_the_router(seen):
        for field, least in (("loss_ratio", LOSS_RATIO), ("rtt_ms", _PROVIDER_MS)):
            near = seen.figure("path", f"gateway_{field}") or 0.0
            far = seen.figure("path", f"provider_{field}") or 0.0
            if far >= least and near < far / 2:
                return False
        return True
    measured = seen.figure("path", "gateway_rtt_ms") is not None
    return not measured and any(not found.good for found in wifi(seen))


def line_speed(seen: LaptopResults) -> list[Diagnosis]:
    """Judges the line by the last speed test, which may be a day old. A bad Wi-Fi or a
    busy laptop may have slowed that, so with one it says nothing."""
    speed = seen.newest_ok("bandwidth")
    if speed is None or any(not d.good for d in [*laptop(seen), *wifi(seen)]):
        return []
    whose, at_office = line_name(seen.where), seen.where.place == "office"
    return _speed(speed, whose, at_office) or [
        Diagnosis("line", True, f"{whose} is fine")
    ]


def _speed(speed: Result, whose: str, at_office: bool) -> list[Diagnosis]:
    values = speed.values
    for name, verb, least_bps in (
        ("up", "uploads", _LEAST_UP_BPS),
        ("down", "downloads", _LEAST_DOWN_BPS),
    ):
        bps = values.get(f"{name}_bps")
        held = values.get(f"{name}_at_least") == 1
        if isinstance(bps, int | float) and bps < least_bps and not held:
            says = (
                f"{whose} {verb} only {bps / 1e6:.1f} Mbit/s, too slow for video calls"
            )
            return [Diagnosis("line", False, says, "Switch your camera off in calls.")]
    if values.get("bufferbloat") in POOR_GRADES and not at_office:
        return [
            Diagnosis(
                "line",
                False,
                f"{whose} is slow to respond during large uploads or downloads",
                "Pause backups and large downloads during calls.",
            )
        ]
    return []

"""Where along the way something is wrong: laptop, Wi-Fi, line, VPN, council, Microsoft.

Each function judges one segment by what was last seen and returns findings, good ones
too, or nothing where it was not measured. All are pure. Limits are where people begin
to notice in a call; each finding says its figure, so that it can be disputed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from probes.wire.failure import Outcome, is_failure
from probes.wire.probe_list import PROBES
from probes.wire.report import Result, Whereabouts

Segment = Literal[
    "network", "laptop", "wifi", "line", "vpn", "council", "microsoft", "calls"
]

BUSY_RATIO = 0.9
SLOWED_RATIO = 0.5
FULL_RATIO = 0.95
SLOW_LINK_BPS = 10_000_000
WEAK_DBM = -75
WEAK_MOMENT_DBM = -82
LEAST_SNR_DB = 15
RETRY_RATIO = 0.3
MANY_ROAMS = 4
LOSS_RATIO = 0.02
GATEWAY_MS = 40
PROVIDER_MS = 80
LEAST_UP_BPS = 1_000_000
LEAST_DOWN_BPS = 2_000_000
TUNNEL_MORE_MS = 60
MANY_RECONNECTS = 3
SLOW_LOOKUP_MS = 1_000
# The agent's own list of front doors (`collectors/ingest/policies.py`) by name.
_MICROSOFT = ("microsoft", "exchange online", "sharepoint", "onedrive", "office 365")
POOR_GRADES = frozenset({"D", "F"})


class Diagnosis(msgspec.Struct, frozen=True):
    """One thing seen: `says` in a few words, `do`: what its reader can do about it."""

    segment: Segment
    good: bool
    says: str
    do: str = ""


class LaptopResults:
    """The last result of each probe and target, and where the laptop is."""

    def __init__(self, results: Iterable[Result], where: Whereabouts) -> None:
        self.where = where
        self._by_probe: dict[str, list[Result]] = {}
        for each in results:
            self._by_probe.setdefault(each.probe, []).append(each)

    def all(self, probe: str) -> list[Result]:
        return self._by_probe.get(probe, [])

    def one(self, probe: str) -> Result | None:
        """The newest of that probe that worked."""
        worked = [each for each in self.all(probe) if each.outcome is Outcome.OK]
        return max(worked, key=lambda each: each.time_ms, default=None)

    def figure(self, probe: str, field: str) -> float | None:
        """A number of the newest result that worked; None where it has none."""
        found = self.one(probe)
        # A path that did not get to its end still has figures up to there.
        partial = self.all(probe)[-1:] if probe == "path" else []
        for each in [found] if found is not None else partial:
            value = each.values.get(field)
            if isinstance(value, int | float):
                return float(value)
        return None

    def reached(self) -> bool:
        """Whether anything beyond the laptop answered."""
        return any(
            each.outcome is Outcome.OK
            for probe in PROBES
            if not probe.local
            for each in self.all(probe.name)
        )

    def tried(self) -> list[Result]:
        """What was asked over the network, and how that ended."""
        return [
            each
            for probe in PROBES
            if probe.judges_network
            for each in self.all(probe.name)
            if each.outcome is Outcome.OK or is_failure(each.outcome)
        ]


def network(seen: LaptopResults) -> list[Diagnosis]:
    """What hides everything else: no network, a sign-in page, a wrong clock, no names.
    At most one, the one that has to be mended first."""
    outcomes = {each.outcome for each in seen.tried()}
    if Outcome.NO_NETWORK in outcomes and not seen.reached():
        return [
            Diagnosis(
                "network",
                False,
                "this laptop has no network",
                "Connect a cable or join a Wi-Fi; check that flight mode is off.",
            )
        ]
    if Outcome.CAPTIVE_PORTAL in outcomes:
        return [
            Diagnosis(
                "network",
                False,
                "a sign-in page (hotel, train) is waiting",
                "Open your browser and any plain page: the sign-in page appears.",
            )
        ]
    if Outcome.CLOCK_WRONG in outcomes:
        return [
            Diagnosis(
                "network",
                False,
                "this laptop's clock is wrong, so nothing secure can be reached",
                "Have date and time set automatically in the system's settings.",
            )
        ]
    return _names(seen)


def _names(seen: LaptopResults) -> list[Diagnosis]:
    lookups = seen.all("name_lookup")
    failed = [
        each
        for each in lookups
        if each.outcome in {Outcome.NAME_SERVER_FAILED, Outcome.TIMEOUT}
    ]
    elsewhere = [
        each
        for each in seen.tried()
        if each.probe != "name_lookup" and each.outcome is Outcome.NAME_SERVER_FAILED
    ]
    worked = [each for each in lookups if each.outcome is Outcome.OK]
    if (failed and not worked) or (elsewhere and not lookups and not seen.reached()):
        through = any(each.values.get("resolver_through_vpn") == 1 for each in failed)
        whose = "the VPN's" if through else "this network's"
        do = (
            "Disconnect the VPN and connect it again."
            if through
            else "Restart your router; at an office, tell the service desk."
        )
        return [Diagnosis("network", False, f"{whose} name server does not answer", do)]
    slowest = max(
        (
            value
            for each in worked
            if isinstance(value := each.values.get("lookup_ms"), int | float)
        ),
        default=0.0,
    )
    if slowest >= SLOW_LOOKUP_MS:
        return [
            Diagnosis(
                "network",
                False,
                f"names are found slowly ({slowest / 1000:.1f} s)",
                "Restarting your router often helps.",
            )
        ]
    return []


def laptop(seen: LaptopResults) -> list[Diagnosis]:
    """The machine itself: processor, memory, its cable."""
    if seen.one("laptop") is None:
        return []
    found: list[Diagnosis] = []

    def bad(says: str, do: str) -> None:
        found.append(Diagnosis("laptop", False, says, do))

    busy = seen.figure("laptop", "cpu_ratio")
    clock = seen.figure("laptop", "cpu_clock_ratio")
    memory = seen.figure("laptop", "memory_ratio")
    if busy is not None and busy >= BUSY_RATIO:
        if clock is not None and clock < SLOWED_RATIO:
            bad(
                "your laptop has slowed itself down (heat, or saving power)",
                "Plug it in, and give it air.",
            )
        else:
            bad(
                f"your laptop is busy (processor {busy:.0%})",
                "Close what you do not need; an update may be running.",
            )
    if memory is not None and memory >= FULL_RATIO:
        bad(
            f"your laptop's memory is full ({memory:.0%})",
            "Close what you do not need, browser tabs above all.",
        )
    if seen.where.connection == "wired":
        speed = seen.figure("laptop", "link_bps")
        half = seen.figure("laptop", "half_duplex")
        if (speed is not None and speed <= SLOW_LINK_BPS) or half == 1:
            bad(
                "your network cable's link is slow",
                "Push the plug in again, then try another cable or socket.",
            )
    return found or [Diagnosis("laptop", True, "your laptop is fine")]


def wifi(seen: LaptopResults) -> list[Diagnosis]:
    """The Wi-Fi, where the traffic goes over it."""
    if seen.where.connection != "wifi":
        return []
    if seen.one("wifi") is None:
        # Windows may not let us read it, and still the way to the router shows it.
        return _to_the_router(seen)
    signal = seen.figure("wifi", "signal_dbm")
    least = seen.figure("wifi", "signal_min_dbm")
    about = "about " if seen.figure("wifi", "signal_derived") == 1 else ""
    near = "Move nearer to the access point, or use a cable."
    if signal is not None and signal <= WEAK_DBM:
        return [
            Diagnosis(
                "wifi", False, f"your Wi-Fi is weak ({about}{signal:.0f} dBm)", near
            )
        ]
    if least is not None and least <= WEAK_MOMENT_DBM:
        return [
            Diagnosis(
                "wifi",
                False,
                f"your Wi-Fi was weak for moments ({about}{least:.0f} dBm)",
                near,
            )
        ]
    noise = seen.figure("wifi", "snr_db")
    retries = seen.figure("wifi", "retry_ratio")
    if (noise is not None and noise < LEAST_SNR_DB) or (
        retries is not None and retries >= RETRY_RATIO
    ):
        other = (
            "Choose the 5 GHz Wi-Fi if there is one, or use a cable."
            if seen.figure("wifi", "band_ghz") == 2.4
            else "Move away from other radio devices, or use a cable."
        )
        return [Diagnosis("wifi", False, "your Wi-Fi is disturbed", other)]
    roams = seen.figure("wifi", "roams")
    if roams is not None and roams >= MANY_ROAMS:
        return [
            Diagnosis(
                "wifi",
                False,
                f"your Wi-Fi changed its access point {roams:.0f} times in minutes",
                "Sit nearer to one of them, or use a cable.",
            )
        ]
    return _to_the_router(seen) or [Diagnosis("wifi", True, "your Wi-Fi is fine")]


def _to_the_router(seen: LaptopResults) -> list[Diagnosis]:
    """Loss or delay before the first router: the Wi-Fi's, or the cable's, own."""
    loss = seen.figure("path", "gateway_loss_ratio")
    delay = seen.figure("path", "gateway_rtt_ms")
    wireless = seen.where.connection == "wifi"
    if loss is not None and loss >= LOSS_RATIO:
        how = f"loses {loss:.0%} on the way to your router"
    elif delay is not None and delay >= GATEWAY_MS:
        how = f"takes {delay:.0f} ms to your router"
    else:
        return []
    if wireless:
        do = "Move nearer to the access point, or use a cable; restart the router."
        return [Diagnosis("wifi", False, f"your Wi-Fi {how}", do)]
    do = "Try another cable or socket; restart the router."
    return [Diagnosis("line", False, f"your connection {how}", do)]


def line(seen: LaptopResults) -> list[Diagnosis]:
    """The line from the first router to the provider, and what it carries."""
    at_office = seen.where.place == "office"
    whose = "this building's line" if at_office else "your line"
    provider = (
        "Tell the service desk which office you are in."
        if at_office
        else "Restart your router; if it stays so, it is your provider's to mend."
    )
    found: list[Diagnosis] = []
    if seen.where.connection != "wifi":
        found += _to_the_router(seen)
    loss = seen.figure("path", "provider_loss_ratio")
    delay = seen.figure("path", "provider_rtt_ms")
    if loss is not None and loss >= LOSS_RATIO:
        found.append(Diagnosis("line", False, f"{whose} loses {loss:.0%}", provider))
    elif delay is not None and delay >= PROVIDER_MS:
        found.append(
            Diagnosis("line", False, f"{whose} is slow to answer ({delay:.0f} ms)", "")
        )
    speed = seen.one("bandwidth")
    if speed is not None:
        found += _speed(speed, whose, at_office)
    if found:
        return found
    measured = loss is not None or delay is not None or speed is not None
    # A call path without fault proves the line it went over.
    calls = seen.one("call_path")
    if measured or (calls is not None and calls.values.get("poor") == 0):
        return [Diagnosis("line", True, f"{whose} is fine")]
    return []


def _speed(speed: Result, whose: str, at_office: bool) -> list[Diagnosis]:
    values = speed.values
    for name, way, least_bps in (
        ("up", "away from you", LEAST_UP_BPS),
        ("down", "to you", LEAST_DOWN_BPS),
    ):
        bps = values.get(f"{name}_bps")
        held = values.get(f"{name}_at_least") == 1
        if isinstance(bps, int | float) and bps < least_bps and not held:
            says = f"{whose} carries {bps / 1e6:.1f} Mbit/s {way}, too little for video"
            return [Diagnosis("line", False, says, "Switch your camera off in calls.")]
    if values.get("bufferbloat") in POOR_GRADES and not at_office:
        return [
            Diagnosis(
                "line",
                False,
                f"{whose} answers late while something large is up- or downloaded",
                "Pause backups and large downloads during calls.",
            )
        ]
    return []


def vpn(seen: LaptopResults) -> list[Diagnosis]:
    """The tunnel, beside the way without it."""
    found = seen.one("vpn")
    if found is None or found.values.get("up") != 1:
        return []
    again = "Disconnect the VPN and connect it again; then tell the service desk."
    loss = seen.figure("vpn", "tunnel_loss_ratio")
    loss_beside = seen.figure("vpn", "direct_loss_ratio") or 0.0
    delay = seen.figure("vpn", "tunnel_rtt_ms")
    delay_beside = seen.figure("vpn", "direct_rtt_ms")
    if (seen.figure("vpn", "reconnects") or 0) >= MANY_RECONNECTS:
        times = seen.figure("vpn", "reconnects") or 0
        says = f"the VPN came up anew {times:.0f} times within the hour"
        return [Diagnosis("vpn", False, says, again)]
    if loss is not None and loss - loss_beside >= LOSS_RATIO:
        says = f"the VPN loses {loss:.0%}, the way beside it {loss_beside:.0%}"
        return [Diagnosis("vpn", False, says, again)]
    if found.values.get("path_mtu_black_hole") == 1:
        says = "large packets vanish in the VPN: pages may hang half loaded"
        return [Diagnosis("vpn", False, says, "Tell the service desk.")]
    if (
        delay is not None
        and delay_beside is not None
        and delay - delay_beside >= TUNNEL_MORE_MS
    ):
        says = f"the VPN takes {delay:.0f} ms, the way beside it {delay_beside:.0f} ms"
        return [Diagnosis("vpn", False, says, again)]
    if delay is None and loss is None:
        return []
    return [Diagnosis("vpn", True, "the VPN is fine")]


def is_microsoft(name: str) -> bool:
    return any(each in name.lower() for each in _MICROSOFT)


def failures(results: Sequence[Result]) -> list[Result]:
    """Those that were tried and failed, one for each target."""
    return [each for each in results if is_failure(each.outcome)]

"""Which segment is at fault: what a diagnosis is, and those of the laptop, its Wi-Fi
and the VPN. `network_diagnosis`, `line_diagnosis` and `service_diagnosis` have the
others.

Each function judges one segment by the last results and returns its diagnoses, good
ones too, or nothing if it was not measured. All are pure. The limits are those that
people notice in a call. Each diagnosis gives its figure, so that it can be checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from probes.wire.failure import Outcome, is_failure
from probes.wire.number_text import percentage
from probes.wire.probe_list import PROBES
from probes.wire.report import Result, Whereabouts

Segment = Literal[
    "network",
    "laptop",
    "wifi",
    "line",
    "vpn",
    "council",
    "microsoft",
    "telephony",
    "calls",
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
TUNNEL_MORE_MS = 60
MANY_RECONNECTS = 3
RECEPTION = "Move to where reception is better, such as a window, or use a Wi-Fi."
ANOTHER_NETWORK = "Try another network, such as your phone's hotspot."
# The names of Microsoft's services in a policy (`collectors/ingest/policies.py`).
_MICROSOFT = ("microsoft", "exchange online", "sharepoint", "onedrive", "office 365")
POOR_GRADES = frozenset({"D", "F"})


# What the person at the laptop does if their own means end.
TELL_IF_IT_LASTS = "Tell the service desk if it lasts."
TELL_NOW = "Tell the service desk."
NOT_YOURS = "Nothing is wrong on your side."


class Diagnosis(msgspec.Struct, frozen=True):
    """One diagnosis: `says` in a few words, `do`: what the person at the laptop can do
    about it, `tell`: that they tell the service desk, which itself reads `do` alone."""

    segment: Segment
    good: bool
    says: str
    do: str = ""
    tell: str = ""

    @property
    def advice(self) -> str:
        """What the laptop tells its person."""
        return f"{self.do} {self.tell}".strip()


class LaptopResults:
    """The last result of each probe and target, and where the laptop is."""

    def __init__(self, results: Iterable[Result], where: Whereabouts) -> None:
        self.where = where
        self._by_probe: dict[str, list[Result]] = {}
        for result in results:
            self._by_probe.setdefault(result.probe, []).append(result)

    def results(self, probe: str) -> list[Result]:
        return self._by_probe.get(probe, [])

    def newest_ok(self, probe: str) -> Result | None:
        """Returns the newest result of that probe that worked."""
        worked = [
            result for result in self.results(probe) if result.outcome is Outcome.OK
        ]
        return max(worked, key=lambda result: result.time_ms, default=None)

    def figure(self, probe: str, field: str) -> float | None:
        """Returns a number of the newest result that worked; None if it has none."""
        newest = self.newest_ok(probe)
        # A path that did not reach its end still has figures up to there.
        partial = self.results(probe)[-1:] if probe == "path" else []
        for result in [newest] if newest is not None else partial:
            value = result.values.get(field)
            if isinstance(value, int | float):
                return float(value)
        return None

    def reached(self) -> bool:
        """Returns whether anything beyond the laptop answered."""
        return any(
            result.outcome is Outcome.OK
            for probe in PROBES
            if not probe.local
            for result in self.results(probe.name)
        )

    def tried(self) -> list[Result]:
        """Returns the results that show whether the network works."""
        return [
            result
            for probe in PROBES
            if probe.judges_network
            for result in self.results(probe.name)
            if result.outcome is Outcome.OK or is_failure(result.outcome)
        ]


def laptop(seen: LaptopResults) -> list[Diagnosis]:
    """Judges the laptop itself: processor, memory, network cable."""
    if seen.newest_ok("laptop") is None:
        return []
    problems: list[Diagnosis] = []

    def bad(says: str, do: str) -> None:
        problems.append(Diagnosis("laptop", False, says, do))

    busy = seen.figure("laptop", "cpu_ratio")
    clock = seen.figure("laptop", "cpu_clock_ratio")
    memory = seen.figure("laptop", "memory_ratio")
    if busy is not None and busy >= BUSY_RATIO:
        if clock is not None and clock < SLOWED_RATIO:
            bad(
                "your laptop has slowed itself down (heat, or saving power)",
                "Plug it in, and make sure that air can reach it.",
            )
        else:
            bad(
                f"your laptop is busy (processor {busy:.0%})",
                "Close what you do not need; an update may be running.",
            )
    if memory is not None and memory >= FULL_RATIO:
        bad(
            f"your laptop's memory is full ({memory:.0%})",
            "Close what you do not need, browser tabs first.",
        )
    if seen.where.connection == "wired":
        speed = seen.figure("laptop", "link_bps")
        half = seen.figure("laptop", "half_duplex")
        if (speed is not None and speed <= SLOW_LINK_BPS) or half == 1:
            bad(
                "your network cable's link is slow",
                "Push the plug in again, then try another cable or socket.",
            )
    return problems or [Diagnosis("laptop", True, "your laptop is fine")]


def wifi(seen: LaptopResults) -> list[Diagnosis]:
    """Judges the Wi-Fi, if the traffic goes over it."""
    if seen.where.connection != "wifi":
        return []
    if seen.newest_ok("wifi") is None:
        # Windows may not allow reading it. The path to the router still shows it.
        return to_the_router(seen)
    signal = seen.figure("wifi", "signal_dbm")
    least = seen.figure("wifi", "signal_min_dbm")
    near = "Move nearer to the access point, or use a cable."
    if signal is not None and signal <= WEAK_DBM:
        return [Diagnosis("wifi", False, "your Wi-Fi is weak", near)]
    if least is not None and least <= WEAK_MOMENT_DBM:
        return [Diagnosis("wifi", False, "your Wi-Fi was weak at times", near)]
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
                f"your Wi-Fi changed access point {roams:.0f} times within minutes",
                "Sit nearer to an access point, or use a cable.",
            )
        ]
    return to_the_router(seen) or [Diagnosis("wifi", True, "your Wi-Fi is fine")]


def to_the_router(seen: LaptopResults) -> list[Diagnosis]:
    """Judges loss and delay before the first router, which are the Wi-Fi's or the
    cable's."""
    loss = seen.figure("path", "gateway_loss_ratio")
    delay = seen.figure("path", "gateway_rtt_ms")
    at_home = is_own_network(seen.where)
    router = "your router" if at_home else "the first router"
    if loss is not None and loss >= LOSS_RATIO:
        how = f"loses {loss:.0%} of packets before {router}"
    elif delay is not None and delay >= GATEWAY_MS:
        how = f"takes {delay:.0f} ms to {router}"
    else:
        return []
    if seen.where.connection == "mobile":
        return [Diagnosis("line", False, f"{line_name(seen.where)} {how}", RECEPTION)]
    if seen.where.connection == "wifi":
        do, says = (
            "Move nearer to the access point, or use a cable",
            f"your Wi-Fi {how}",
        )
    else:
        do, says = "Try another cable or socket", f"your connection {how}"
    do += "; restart the router." if at_home else "."
    tell = TELL_IF_IT_LASTS if seen.where.place == "office" else ""
    segment: Segment = "wifi" if seen.where.connection == "wifi" else "line"
    return [Diagnosis(segment, False, says, do, tell)]


def is_own_network(where: Whereabouts) -> bool:
    """Returns whether the router may be the person's own: at home, or where nobody has
    said that it is not."""
    return where.place in {"home", "unknown"} and where.connection != "mobile"


def line_name(where: Whereabouts) -> str:
    """Returns what the way from the first router is called."""
    if where.place == "office":
        return "this building's line"
    if where.connection == "mobile":
        return "your mobile connection"
    return "your line" if is_own_network(where) else "the line where you are"


def vpn(seen: LaptopResults) -> list[Diagnosis]:
    """Judges the tunnel, compared with the connection outside it."""
    tunnel = seen.newest_ok("vpn")
    if tunnel is None or tunnel.values.get("up") != 1:
        return []
    again = "Disconnect the VPN and connect it again."
    loss = seen.figure("vpn", "tunnel_loss_ratio")
    loss_outside = seen.figure("vpn", "direct_loss_ratio") or 0.0
    delay = seen.figure("vpn", "tunnel_rtt_ms")
    delay_outside = seen.figure("vpn", "direct_rtt_ms")
    if (seen.figure("vpn", "reconnects") or 0) >= MANY_RECONNECTS:
        times = seen.figure("vpn", "reconnects") or 0
        says = f"the VPN reconnected {times:.0f} times within the hour"
        return [Diagnosis("vpn", False, says, again, TELL_IF_IT_LASTS)]
    if loss is not None and loss - loss_outside >= LOSS_RATIO:
        outside = percentage(loss_outside)
        says = f"the VPN loses {loss:.0%} of packets, outside it {outside}"
        return [Diagnosis("vpn", False, says, again, TELL_IF_IT_LASTS)]
    if tunnel.values.get("path_mtu_black_hole") == 1:
        says = "the VPN drops large packets, so pages may load only in part"
        return [Diagnosis("vpn", False, says, again, TELL_NOW)]
    if (
        delay is not None
        and delay_outside is not None
        and delay - delay_outside >= TUNNEL_MORE_MS
    ):
        says = f"the VPN takes {delay:.0f} ms, outside it {delay_outside:.0f} ms"
        return [Diagnosis("vpn", False, says, again, TELL_IF_IT_LASTS)]
    if delay is None and loss is None:
        return []
    return [Diagnosis("vpn", True, "the VPN is fine")]


def is_microsoft(name: str) -> bool:
    return any(service in name.lower() for service in _MICROSOFT)

"""Laptops with planted faults, and what the one verdict on each should say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from probes.wire.failure import Outcome
from probes.wire.report import Connection, Place, Result, Vpn, Whereabouts
from probes.wire.sample import Value

NOW_MS = 1_790_000_000_000


class Planted(NamedTuple):
    """A laptop with a fault. `blames`: the segment that comes first; `good` or `not
    measured` without a fault. `says`: words of the headline. `spares`: segments that
    must not be blamed at all."""

    fault: str
    where: Whereabouts
    results: Sequence[Result]
    blames: str
    says: str
    spares: tuple[str, ...] = ("line",)


def measured(
    probe: str, outcome: str = "ok", target: str = "", age_min: int = 1, **values: Value
) -> Result:
    time_ms = NOW_MS - age_min * 60_000
    return Result(probe, 1, time_ms, Outcome(outcome), target, dict(values))


def _at(place: Place, connection: Connection, vpn: Vpn) -> Whereabouts:
    return Whereabouts(place, "hall" if place == "office" else "", connection, vpn)


def _path(
    near: float = 3, near_loss: float = 0, far: float = 12, far_loss: float = 0
) -> Result:
    return measured(
        "path",
        target="hall",
        gateway_rtt_ms=near,
        gateway_loss_ratio=near_loss,
        provider_rtt_ms=far,
        provider_loss_ratio=far_loss,
        edge_rtt_ms=far + 8,
        edge_loss_ratio=far_loss,
    )


def _call(rtt: float = 21, loss: float = 0, jitter: float = 2) -> Result:
    poor = int(rtt > 100 or loss > 0.01 or jitter > 30)
    return measured(
        "call_path",
        target="hall",
        rtt_ms=rtt,
        loss_ratio=loss,
        jitter_ms=jitter,
        poor=poor,
    )


def _tunnel(
    delay: float = 24, loss: float = 0, beside: float = 20, **more: Value
) -> Result:
    return measured(
        "vpn",
        up=1,
        product="AnyConnect",
        tunnel_rtt_ms=delay,
        tunnel_loss_ratio=loss,
        direct_rtt_ms=beside,
        direct_loss_ratio=0.0,
        **more,
    )


def _web(target: str, outcome: str = "ok") -> Result:
    return measured("web", outcome, target)


def _name(lookup_ms: float, target: str = "payroll.example", **more: Value) -> Result:
    return measured("name_lookup", target=target, lookup_ms=lookup_ms, **more)


def _speed(
    down: float = 48, up: float = 9, bloat: str = "A", hours: int = 20
) -> Result:
    return measured(
        "bandwidth",
        target="hall",
        age_min=60 * hours,
        down_bps=down * 1e6,
        up_bps=up * 1e6,
        bufferbloat=bloat,
    )


HOME, HOME_CABLE = _at("home", "wifi", "up"), _at("home", "wired", "up")
NO_VPN = _at("home", "wifi", "down")
OFFICE, HOTEL = _at("office", "wifi", "absent"), _at("elsewhere", "wifi", "up")
OFFICE_CABLE, PHONE = _at("office", "wired", "absent"), _at("elsewhere", "mobile", "up")
_WELL = (
    measured("laptop", cpu_ratio=0.2, memory_ratio=0.6),
    measured("wifi", signal_dbm=-55, signal_min_dbm=-60, roams=0, band_ghz=5.0),
    _path(),
    _tunnel(),
    _web("payroll"),
    _web("intranet"),
    _web("Microsoft Teams"),
    _name(12),
    _name(9, "intranet.example"),
    _call(),
    _speed(),
)
_MICROSOFT = ("Microsoft Teams", "Exchange Online", "SharePoint", "Microsoft sign-in")
_WEAK = measured("wifi", signal_dbm=-84, signal_min_dbm=-88, roams=0)
_NO_LOOKUP = [
    measured("name_lookup", "timeout", name)
    for name in ("payroll.example", "intranet.example")
]


def _with(*changed: Result, without: tuple[str, ...] = ()) -> list[Result]:
    """A laptop that is well, but for these results and without those probes."""
    new = {(result.probe, result.target): result for result in changed}
    kept = {(r.probe, r.target): r for r in _WELL if r.probe not in without}
    return list({**kept, **new}.values())


PLANTED = (
    Planted("none, at home", HOME, _with(), "good", "connection looks good"),
    Planted("none, in the office", OFFICE, _with(without=("vpn",)), "good", "good"),
    Planted("none, VPN off", NO_VPN, _with(measured("vpn", up=0)), "good", "good"),
    Planted("Wi-Fi weak", HOME, _with(_WEAK), "wifi", "Wi-Fi is weak"),
    Planted(
        "Wi-Fi weak, and all behind it loses packets", HOME,
        _with(_WEAK, _path(30, 0.06, 45, 0.06), _call(60, 0.06)),
        "wifi", "Wi-Fi is weak, so calls may be poor",
    ),
    Planted(
        "Wi-Fi weak, names take seconds because packets are lost", HOME,
        _with(_WEAK, _name(5_200), _name(5_100, "intranet.example")), "wifi", "weak",
    ),
    Planted(
        "Wi-Fi weak during the speed test", HOME,
        _with(_WEAK, _speed(1.5, 0.3, "C", hours=0)), "wifi", "Wi-Fi is weak",
    ),
    Planted(
        "Wi-Fi loses packets at a good level", HOME,
        _with(_path(20, 0.05, 30, 0.05), _call(40, 0.05)), "wifi", "loses 5%",
    ),
    Planted(
        "Wi-Fi slow to the router", HOME,
        _with(_path(120, 0, 135), _call(150), _tunnel(150, 0, 146)), "wifi", "120 ms",
    ),
    Planted(
        "Wi-Fi weak in the office", OFFICE, _with(_WEAK, without=("vpn",)),
        "wifi", "Wi-Fi is weak",
    ),
    Planted(
        "bad cable at home", HOME_CABLE,
        _with(_path(3, 0.08, 12, 0.08), _call(25, 0.08)),
        "line", "your connection loses 8% of packets before your router", (),
    ),
    Planted(
        "home line saturated", HOME,
        _with(_path(3, 0, 310), _call(330), _tunnel(335, 0, 328)),
        "line", "your line is slow to answer (310 ms), so calls", ("wifi", "vpn"),
    ),
    Planted(
        "home line loses packets", HOME, _with(_path(3, 0, 14, 0.07), _call(25, 0.07)),
        "line", "your line loses 7%", ("wifi", "vpn"),
    ),
    Planted(
        "home line uploads slowly", HOME, _with(_speed(18, 0.4)),
        "line", "uploads only 0.4 Mbit/s", ("wifi", "vpn"),
    ),
    Planted(
        "line of the building congested", OFFICE_CABLE,
        _with(_path(1, 0, 160), _call(170), without=("vpn",)),
        "line", "this building's line is slow", ("wifi", "vpn"),
    ),
    Planted(
        "line of the hotel loses packets", HOTEL,
        _with(_path(3, 0, 14, 0.07), _call(25, 0.07)),
        "line", "where you are", ("wifi",),
    ),
    Planted(
        "mobile reception poor", PHONE,
        _with(_path(70, 0.03, 95, 0.03), _call(130, 0.03), without=("wifi",)),
        "line", "your mobile connection", ("wifi", "vpn"),
    ),
    Planted("VPN slow", HOME, _with(_tunnel(240)), "vpn", "the VPN takes 240 ms"),
    Planted(
        "VPN slow, the line's upload is always slow to respond", HOME,
        _with(_tunnel(240), _speed(40, 8, "F")), "vpn", "the VPN takes 240 ms", (),
    ),
    Planted("VPN loses packets", HOME, _with(_tunnel(loss=0.08)), "vpn", "loses 8%"),
    Planted(
        "VPN reconnects", HOME, _with(_tunnel(reconnects=5)), "vpn", "reconnected 5",
    ),
    Planted(
        "VPN drops large packets", HOME, _with(_tunnel(path_mtu_black_hole=1)),
        "vpn", "large packets",
    ),
    Planted(
        "VPN off, so names inside are not found", NO_VPN,
        _with(
            measured("vpn", up=0),
            _web("payroll", "name_not_found"),
            _web("intranet", "name_not_found"),
            measured("name_lookup", "name_not_found", "payroll.example"),
            measured("name_lookup", "name_not_found", "intranet.example"),
        ),
        "vpn", "the VPN is disconnected", ("line", "council"),
    ),
    Planted(
        "VPN off, so services inside time out", NO_VPN,
        _with(measured("vpn", up=0), _web("payroll", "timeout")),
        "vpn", "the VPN is disconnected, and payroll cannot", ("line", "council"),
    ),
    Planted(
        "DNS slow at home", HOME, _with(_name(2_400), _name(2_300, "intranet.example")),
        "network", "DNS lookups are slow",
    ),
    Planted(
        "DNS slow in the office", OFFICE_CABLE,
        _with(_name(2_400), _name(2_300, "intranet.example"), without=("vpn",)),
        "network", "DNS lookups are slow",
    ),
    Planted(
        "DNS slow through the VPN", HOME,
        _with(
            _name(2_400, resolver_through_vpn=1),
            _name(2_300, "intranet.example", resolver_through_vpn=1),
        ),
        "network", "through the VPN",
    ),
    Planted(
        "one name slow, others not", OFFICE,
        _with(_name(1_400), _name(8, "a"), _name(8, "b"), without=("vpn",)),
        "good", "good",
    ),
    Planted(
        "DNS dead in the office", OFFICE_CABLE, _with(*_NO_LOOKUP, without=("vpn",)),
        "network", "name server does not answer", ("line", "council"),
    ),
    Planted(
        "DNS dead in the hotel", HOTEL, _with(*_NO_LOOKUP),
        "network", "name server does not answer", ("line", "council"),
    ),
    Planted(
        "processor busy", HOME, _with(measured("laptop", cpu_ratio=0.97)),
        "laptop", "busy (processor 97%)",
    ),
    Planted(
        "processor busy during the speed test", HOME,
        _with(measured("laptop", cpu_ratio=0.97), _speed(1, 0.2, "D", hours=0)),
        "laptop", "busy",
    ),
    Planted(
        "slowed by heat", HOME,
        _with(measured("laptop", cpu_ratio=0.97, cpu_clock_ratio=0.3)),
        "laptop", "slowed itself down",
    ),
    Planted(
        "memory full", HOME, _with(measured("laptop", memory_ratio=0.98)),
        "laptop", "memory is full",
    ),
    Planted(
        "one service down", HOME, _with(_web("payroll", "timeout")),
        "council", "payroll did not answer in time",
    ),
    Planted(
        "five services down", OFFICE,
        _with(
            *(
                _web(name, "timeout")
                for name in ("payroll", "intranet", "finance", "planning", "care")
            ),
            without=("vpn",),
        ),
        "council", "care, finance and 3 more did not answer",
    ),
    Planted(
        "certificate not trusted", OFFICE, _with(_web("payroll", "tls_failed")),
        "council", "certificate",
    ),
    Planted(
        "Teams down for everybody", HOME, _with(_web("Microsoft Teams", "timeout")),
        "microsoft", "Microsoft Teams did not answer",
    ),
    Planted(
        "Teams down, and the line's upload is always slow to respond", HOME,
        _with(_web("Microsoft Teams", "timeout"), _speed(40, 8, "F")),
        "microsoft", "Microsoft Teams did not answer", (),
    ),
    Planted(
        "all of Microsoft down", HOME,
        _with(*(_web(name, "timeout") for name in _MICROSOFT)),
        "microsoft", "and 2 more did not answer",
    ),
    Planted(
        "the council's edge loses packets", HOME,
        _with(_call(140, 0.05), measured("teams_relay", rtt_ms=22)),
        "calls", "calls may be poor",
    ),
    Planted(
        "the council's edge loses packets, and the line's upload is slow to respond",
        HOME, _with(_call(140, 0.05), _speed(40, 8, "F")),
        "calls", "calls may be poor", (),
    ),
    Planted(
        "provider's network slow", HOME,
        _with(
            _call(190), _tunnel(192, 0, 188), measured("teams_relay", rtt_ms=180)
        ),
        "calls", "calls may be poor", ("line", "vpn"),
    ),
    Planted(
        "reflector down", HOME, _with(measured("call_path", "timeout", "hall")),
        "council", "test server hall did not answer",
    ),
    Planted(
        "UDP blocked in the hotel", HOTEL,
        _with(measured("call_path", "udp_blocked", "hall")), "council", "UDP",
    ),
    Planted(
        "yesterday's speed test met a sign-in page", HOME,
        _with(measured("bandwidth", "captive_portal", "hall", age_min=1_200)),
        "good", "good",
    ),
    Planted(
        "the speed test's server did not answer", HOME,
        _with(measured("bandwidth", "timeout", "hall", age_min=5)), "good", "good",
    ),
    Planted(
        "servers of the team's calls down", OFFICE,
        _with(
            measured("media_edge", "timeout", "edge-1"),
            measured("media_edge", "timeout", "edge-2"),
            without=("vpn",),
        ),
        "telephony", "servers that take your team's calls do not answer",
    ),
    Planted(
        "one of two such servers down", OFFICE,
        _with(
            measured("media_edge", "timeout", "edge-1"),
            measured("media_edge", target="edge-2", rtt_ms=18),
            without=("vpn",),
        ),
        "good", "good",
    ),
    Planted(
        "sign-in page of a train", _at("elsewhere", "wifi", "down"),
        (_web("payroll", "captive_portal"), *_NO_LOOKUP),
        "network", "sign-in page",
    ),
    Planted(
        "flight mode", _at("unknown", "unknown", "down"),
        (
            _web("payroll", "no_network"), measured("call_path", "no_network", "hall")
        ),
        "network", "no network",
    ),
    Planted(
        "clock wrong", HOME,
        (_web("payroll", "clock_wrong"), _web("intranet", "clock_wrong")),
        "network", "clock is wrong",
    ),
    Planted(
        "only the agent's own figures", HOME, (measured("agent", rss_bytes=4e7),),
        "not measured", "nothing was measured over the network",
    ),
    Planted(
        "only the laptop and its Wi-Fi", HOME, _WELL[:2],
        "not measured", "nothing was measured over the network",
    ),
    Planted(
        "paused", HOME, (_WELL[0], measured("call_path", "paused", "hall")),
        "not measured", "measuring is paused",
    ),
    Planted(
        "data allowance used up", PHONE,
        (_WELL[0], measured("web", "budget_spent", "payroll")),
        "not measured", "the data allowance is used up",
    ),
    Planted(
        "calls not measured", HOME, (_web("payroll"), _name(9)),
        "good", "call quality was not measured",
    ),
)  # fmt: skip

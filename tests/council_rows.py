"""Rows of the made-up council: what its devices and lines measure at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

from collectors.estate import Device, Estate, Line
from probes.wire.sample import Sample

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
PORTS = ("Gi1/0/1", "Gi1/0/2", "Gi1/0/24", "Te1/1/1")


def day_share(at: int) -> float:
    """0 at night, 1 in the middle of the working day."""
    hours = at / HOUR_MS % 24
    return max(0.0, math.sin((hours - 6) / 14 * math.pi)) if 6 <= hours <= 20 else 0.0


def device_rows(device: Device, n: int, at: int, up: bool) -> Iterator[Sample]:
    tags = {"device": device.id, "site": device.site, "role": device.role}
    if not up:
        yield Sample(
            "device",
            tags,
            {
                "name": device.name,
                "up": 0,
                "answered": 0,
                "outcome": "timeout",
                "duration_ms": 6000.0,
                "packets": 3,
                "retries": 2,
            },
            at,
        )
        return
    yield Sample(
        "device",
        tags,
        {
            "name": device.name,
            "up": 1,
            "answered": 1,
            "readable": 1,
            "outcome": "ok",
            "duration_ms": 12.0 + n,
            "packets": 9,
            "retries": 0,
            "late_ms": 3.0,
            **{"icmp_rtt_ms": 2.0 + n, "icmp_loss_ratio": 0.0},
            "uptime_s": at / 1000 % 3e6,
            "restarted": 0,
            "ports_up": 3,
            "ports_down": 1,
        },
        at,
    )
    for m, port in enumerate(PORTS):
        speed = 1e10 if port.startswith("Te") else 1e9
        use = (0.02 + 0.1 * m + 0.3 * day_share(at)) * (
            0.6 + 0.4 * math.sin(at / 7e5 + n + m)
        )
        fields: dict[str, int | float | str] = {
            "in_bps": use * speed,
            "out_bps": use * speed * 0.4,
            "in_use_ratio": use,
            "out_use_ratio": use * 0.4,
            "in_errors_per_s": 0.2 if (n, m) == (1, 0) else 0.0,
            "out_errors_per_s": 0.0,
            "in_discards_per_s": 0.0,
            "out_discards_per_s": 0.5 * use,
            "in_error_ratio": 0.001 if (n, m) == (1, 0) else 0.0,
            "speed_bps": speed,
            "admin": 1,
            "oper": 1,
            "up": 1,
            "expected_up": int(port.startswith("Te")),
            "expected_why": "line",
            **{"state": 3, "if_index": m + 1},
        }
        described = {"description": f"to {port} & back"} if m % 2 else {}
        yield Sample("interface", {**tags, "port": port, **described}, fields, at)
    yield Sample(
        "neighbour",
        {**tags, "port": "Te1/1", "heard": "02:00:00:00:00:01"},
        {"remote_name": "core-1", "remote_port": "Te1/9", "protocol": "lldp"},
        at,
    )
    yield Sample(
        "finding",
        {**tags, "finding": "counters_32_bit"},
        {"active": 1, "text": "Gi1/0/1 has only 32-bit counters"},
        at,
    )
    yield from _health(tags, n, at)


def _health(tags: dict[str, str], n: int, at: int) -> Iterator[Sample]:
    def sensor(kind: str, name: str, **fields: float | int | str) -> Sample:
        return Sample("sensor", {**tags, "class": kind, "sensor": name}, fields, at)

    heat = 24.0 + n + 3 * math.sin(at / 4e6)
    yield sensor("temperature", "Inlet", value=heat, severity=0, high=45.0)
    yield sensor("state", "PSU 1", value=1.0, state="ok", severity=0)
    yield sensor("state", "Output", state="onLine", severity=0, on_battery=0)
    yield sensor("power", "PoE drawn 1", value=120.0 + 40 * day_share(at))
    yield sensor("dbm", "Te1/1 receive", value=-4.0 - n, low=-14.0, severity=0)
    use = 0.1 + 0.2 * day_share(at)
    yield Sample("processor", {**tags, "processor": "CPU"}, {"use_ratio": use}, at)
    yield Sample(
        "memory",
        {**tags, "pool": "Processor"},
        {"use_ratio": 0.4, "used_bytes": 400_000_000, "total_bytes": 1_000_000_000},
        at,
    )
    yield Sample(
        "wireless",
        {**tags, "class": "clients", "radio": "all"},
        {"value": 40 * day_share(at)},
        at,
    )
    yield Sample(
        "inventory",
        tags,
        {
            "vendor": "example",
            "hardware": "EX-48",
            "os": "exos",
            "version": f"1.{n}",
            "serial": f"SN{n:04}",
        },
        at,
    )


def _line_contract(line: Line) -> dict[str, int | float | str]:
    return {
        "in_errors_per_s": 0.1 if line.id == "lib-wan" else 0.0,
        "out_errors_per_s": 0.0,
        "in_discards_per_s": 0.0,
        "out_discards_per_s": 0.2,
        "contract_down_bps": line.down_mbps * 1e6,
        "contract_up_bps": line.up_mbps * 1e6,
        "cost_per_year": line.cost_per_year or 1_000.0,
        "contract_end_ms": 1_900_000_000_000,
        "circuit_ref": line.circuit_ref or line.id,
        "device": line.device,
        "port": line.port,
    }


def line_rows(
    council: Estate, at: int, down: dict[str, tuple[int, int]]
) -> Iterator[Sample]:
    for n, line in enumerate(council.lines):
        away = down.get(line.device)
        if away and away[0] <= at < away[1]:
            continue
        top = 0.95 if line.id == "lib-wan" else 0.5 + 0.05 * n
        use = 0.03 + top * day_share(at) * (0.85 + 0.15 * math.sin(at / 9e5 + n))
        if line.role == "backup":
            use = 0.0
        yield Sample(
            "line",
            {
                "line": line.id,
                "site": line.site,
                "role": line.role,
                "supplier": line.supplier,
            },
            {
                "down_bps": use * line.down_mbps * 1e6,
                "up_bps": use * line.up_mbps * 3e5,
                "down_use_ratio": use,
                "up_use_ratio": use * 0.3,
                "up": 1,
                "carrying": int(use > 0.01),
                **_line_contract(line),
            },
            at,
        )


# Enrolled laptops by home site, and how many of them report.
AGENTS = (("town-hall", 60, 55), ("library", 20, 15), ("depot", 7, 6))


def other_rows(council: Estate, at: int) -> Iterator[Sample]:
    for n, gateway in enumerate(council.vpn_gateways):
        yield Sample(
            "vpn_gateway",
            {"gateway": gateway.id, "site": gateway.site or ""},
            {
                "name": gateway.name or gateway.id,
                "up": 1,
                "answered": 1,
                "outcome": "ok",
                "connect_ms": 8.0 + n,
                "tls_ms": 21.0,
                "certificate_days": 61.0 + n,
            },
            at,
        )
    process = {"process": "all"}
    yield Sample(
        "self_poll",
        process,
        {
            "cut_off": 0,
            "expected": 7,
            "done": 7,
            "failed": 0,
            "skipped": 0,
            "late_p99_ms": 4.0,
            "retries": 0,
        },
        at,
    )
    yield Sample(
        "self_journal",
        process,
        {
            "bytes": 4_000_000,
            "age_s": 1.0,
            "appended_rows": at // 1000 % 10_000_000,
            "dead_rows": 0,
            "dropped_bytes": 0,
            "dropped_rows": 0,
            "refused_rows": 0,
            "commit_p99_ms": 2.0,
        },
        at,
    )
    yield Sample(
        "self_reader",
        {**process, "reader": "store"},
        {
            "lag_s": 1.5,
            "passed_rows": 1,
            "aside_rows": 0,
            "failures": 0,
            "newer_logs": 0,
        },
        at,
    )
    yield Sample("self_clock", {**process}, {"trusted": 1, "ahead_s": 0.0}, at)
    yield Sample(
        "self_ingest",
        {**process, "transport": "https"},
        {
            "accepted": 1,
            "duplicates": 0,
            "refused": 0,
            "unauthorised": 0,
            "turned_away": 0,
            "in_flight": 0,
        },
        at,
    )
    for home_site, expected, heard in AGENTS:
        agents = {"expected": expected, "heard": heard}
        yield Sample("self_agents", {"home_site": home_site}, agents, at)
    yield Sample(
        "self_notify",
        {**process, "channel": "mail"},
        {
            **{"sent": 3, "failed": 0, "refused": 0, "waiting": 0, "overdue": 0},
            "refresh_failing": 0,
        },
        at,
    )
    yield Sample(
        "self_disk",
        {**process, "folder": "state"},
        {
            "free_bytes": 80_000_000_000,
            "size_bytes": 200_000_000_000,
            "hours_left": 900.0,
            "full": 0,
        },
        at,
    )
    yield Sample(
        "self_certificate",
        {**process, "setting": "ingest.https.certificate"},
        {
            "certificate_days": 80.0,
            "readable": 1,
            "file": "/etc/towpath/server.pem",
        },
        at,
    )
    yield Sample(
        "self_traps",
        process,
        {
            "listening": 1,
            "received": 9,
            "accepted": 8,
            "unknown_source": 1,
            "wrong_community": 0,
            "not_authentic": 0,
            "malformed": 0,
            "lost": 0,
        },
        at,
    )
    for event, about in (
        ("link_down", ""),
        ("ups_on_battery", ""),
        ("ups_low_battery", ""),
        ("power_supply_failed", "PS2"),
        ("fan_failed", "Fan 1"),
        ("access_point_down", "ap-7"),
        ("authentication_failure", ""),
    ):
        port = PORTS[1] if event == "link_down" else ""
        tags = {"device": "th-sw1", "site": "town-hall", "role": "switch"}
        yield Sample(
            "event",
            {**tags, "event": event, "port": port, "about": about},
            {
                "severity": "warning",
                "level": 3,
                "text": f"{event} {about}".strip(),
                "count": 2,
                "active": 1,
                "first_ms": at - 500,
                "last_ms": at,
                "trap": "1.3.6.1.6.3.1.1.5.3",
                "name": "linkDown",
            },
            at,
        )

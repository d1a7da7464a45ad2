"""A council made up for tests of pages, reports and boards: an estate, alerts, and rows
of every measurement over any stretch of time. Everything follows from its arguments.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from council_alerts import alert_rows, site_rows
from council_groups import experience_rows
from council_rows import (
    HOUR_MS,
    MINUTE_MS,
    device_rows,
    line_rows,
    other_rows,
)

from alerts.alert import Alert
from collectors.batch import Batch, batch_samples
from collectors.estate import Device, Estate, Line, Site, VpnGateway
from collectors.snmp.polling.site_names import site_names
from probes.wire.sample import Sample


def estate() -> Estate:
    sites = (
        Site(id="town-hall", name="Town Hall", criticality="high"),
        Site(id="library", name="Central Library"),
        Site(id="depot", name="Highways Depot"),
    )
    devices = []
    for n, (site, name, count) in enumerate(
        (("town-hall", "th", 3), ("library", "lib", 2), ("depot", "dep", 2)), 1
    ):
        for m in range(1, count + 1):
            devices.append(
                Device(
                    id=f"{name}-sw{m}",
                    name=f"{name.upper()} switch {m}",
                    site=site,
                    address=f"10.{n}.0.{m}",  # type: ignore[arg-type]
                    parent=f"{name}-sw1" if m > 1 else None,
                )
            )
    lines = [
        Line(
            id=f"{name}-wan",
            site=site,
            circuit_ref=f"ETH{n}00123",
            supplier=supplier,
            supplier_phone="0800 000 000",
            support_hours="24 hours",
            down_mbps=mbps,
            up_mbps=mbps,
            cost_per_year=cost,
            contract_end=end,
            notice_days=90,
            device=f"{name}-sw1",
            port="Te1/1/1",
        )
        for n, (name, site, supplier, mbps, cost, end) in enumerate(
            (
                ("th", "town-hall", "Northern Fibre", 1000, 14_400, date(2027, 3, 31)),
                ("lib", "library", "Northern Fibre", 100, 4_800, date(2028, 9, 30)),
                ("dep", "depot", "Moor Telecom", 80, 3_900, date(2026, 11, 30)),
            )
        )
    ]
    lines.append(
        Line(
            id="dep-4g",
            site="depot",
            supplier="Moor Telecom",
            down_mbps=40,
            up_mbps=10,
            role="backup",
            device="dep-sw1",
            port="Gi1/0/24",
        )
    )
    return Estate(
        sites=sites,
        devices=tuple(devices),
        lines=tuple(lines),
        vpn_gateways=(
            VpnGateway(
                id="vpn-a", name="VPN A", host="vpn-a.example", site="town-hall"
            ),
            VpnGateway(id="vpn-b", name="VPN B", host="vpn-b.example"),
        ),
    )


def alerts(now_ms: int) -> list[Alert]:
    """A depot behind a dead line, a full line at the library, one ended story."""
    line = Alert(
        "line_down",
        {"line": "dep-wan"},
        "critical",
        "firing",
        now_ms - 42 * MINUTE_MS,
        site="depot",
        firing_ms=now_ms - 40 * MINUTE_MS,
        summary="Highways Depot is cut off: its line dep-wan is down",
        cause="Moor Telecom's line ETH200123 has no signal at dep-sw1 Te1/1/1",
        runbook="Check the power of the supplier's box, then call Moor Telecom on "
        "0800 000 000, quoting ETH200123.",
        affected={"devices": 2, "agents": 20},
    )
    behind = [
        Alert(
            "device_unreachable",
            {"device": f"dep-sw{n}"},
            "critical",
            "firing",
            now_ms - 41 * MINUTE_MS,
            site="depot",
            summary=f"DEP switch {n} does not answer",
            suppressed_by=line.key,
        )
        for n in (1, 2)
    ]
    full = Alert(
        "line_full",
        {"line": "lib-wan", "direction": "down"},
        "warning",
        "firing",
        now_ms - 25 * MINUTE_MS,
        site="library",
        summary="Central Library's line lib-wan carries 93% of its contracted rate",
        cause="Busiest port on site: LIB switch 2 Gi1/0/2",
        runbook="See who uses it in Grafana; backups belong after 19:00.",
    )
    waiting = Alert(
        "errors_rising",
        {"device": "th-sw2", "port": "Gi1/0/1"},
        "warning",
        "pending",
        now_ms - 40_000,
        site="town-hall",
        summary="Errors on TH switch 2 Gi1/0/1",
    )
    ended = Alert(
        "device_unreachable",
        {"device": "lib-sw2"},
        "critical",
        "resolved",
        now_ms - 30 * HOUR_MS,
        site="library",
        firing_ms=now_ms - 30 * HOUR_MS + 90_000,
        resolved_ms=now_ms - 29 * HOUR_MS,
        summary="LIB switch 2 does not answer",
        cause="The switch was restarted",
    )
    return [line, *behind, full, waiting, ended]


def samples(
    from_ms: int,
    to_ms: int,
    step_ms: int = MINUTE_MS,
    dark: tuple[tuple[int, int], ...] = (),
    down: dict[str, tuple[int, int]] | None = None,
) -> Iterator[Sample]:
    """Rows of every shared measurement each `step_ms`. Nothing is written in `dark`
    stretches (the monitor was away); devices in `down` do not answer in theirs."""
    council = estate()
    for at in range(from_ms - from_ms % step_ms + step_ms // 2, to_ms, step_ms):
        if any(begin <= at < end for begin, end in dark):
            continue
        for n, device in enumerate(council.devices):
            away = (down or {}).get(device.id)
            up = not (away and away[0] <= at < away[1])
            yield from device_rows(device, n, at, up)
        yield from line_rows(council, at, down or {})
        yield from other_rows(council, at)
        yield from experience_rows(at)
        yield from alert_rows(at)
        yield from site_rows(council, at)
        for batch in site_names(council, at):
            yield from batch.samples()


def batches(rows: Iterator[Sample], source: str = "test") -> list[Batch]:
    samples = list(rows)
    return batch_samples(samples, source, max(row.time_ms for row in samples) + 1000)

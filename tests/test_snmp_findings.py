"""Findings about a device although nothing is down, and when they end."""

from __future__ import annotations

import pytest
from polled_switches import QUICK, device, estate, polling
from virtual_time import in_virtual_time
from waiting import until

from collectors.batch import check_batch
from collectors.server_measurements import CATALOGUE
from collectors.snmp.polling import device_findings, request_plan
from collectors.snmp.session import oids
from collectors.snmp.tables.device_tags import DeviceTags
from collectors.snmp.tables.interfaces import Port
from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import SimulatedPort, SimulatedSwitch

PLACE = DeviceTags("a", "hall", "switch")


def watch(speed_bps: int, wide: bool, stable: bool = True) -> request_plan.PortPlan:
    column = oids.IF_HC_IN_OCTETS if wide else oids.IF_IN_OCTETS
    port = Port(if_index=1, key="Gi1", stable=stable, speed_bps=speed_bps)
    [plan] = request_plan.port_plans([port], {column: {1: 7}}, {})
    return plan


@pytest.mark.parametrize(
    ("speed_bps", "wide", "period_s", "expected"),
    [
        (1_000_000_000, False, 60.0, True),
        (1_000_000_000, False, 30.0, False),
        (1_000_000_000, True, 60.0, False),
        (100_000_000, False, 60.0, False),
        (10_000_000_000, False, 5.0, True),
    ],
)
def test_ports_whose_counters_wrap_too_fast_are_a_finding(
    speed_bps: int, wide: bool, period_s: float, expected: bool
) -> None:
    findings = device_findings.of_ports([watch(speed_bps, wide)], period_s)
    assert (device_findings.COUNTERS_32_BIT in findings) is expected


def test_ports_without_a_name_are_a_finding() -> None:
    findings = device_findings.of_ports([watch(10, True, stable=False)] * 7, 60.0)
    text = "Gi1, Gi1, Gi1, Gi1, Gi1 and 2 more have"
    assert findings[device_findings.PORTS_UNNAMED].startswith(text)


@pytest.mark.parametrize(
    ("engine_id", "others", "name"),
    [
        ("", (), None),
        ("80001f8804746f77", (), None),
        ("80001f8804746f77", ("b",), device_findings.ENGINE_ID_SHARED),
        ("0000000000000000", (), device_findings.ENGINE_ID_INVALID),
        ("800000090300000000000000", (), None),
        ("8000000903000000000000", (), None),
        ("00", (), device_findings.ENGINE_ID_INVALID),
    ],
)
def test_engine_ids_are_one_of_a_kind_and_not_zero(
    engine_id: str, others: tuple[str, ...], name: str | None
) -> None:
    findings = device_findings.of_engine_id(bytes.fromhex(engine_id), others)
    if engine_id.startswith("8000000903"):
        # The form of a MAC address, and the address all zero.
        name = device_findings.ENGINE_ID_INVALID
    assert list(findings) == ([name] if name else [])


def test_what_is_over_has_one_row_that_ends_it() -> None:
    batch = device_findings.rows(PLACE, 5, {"x": "a sentence"}, ["x", "y"])
    assert batch is not None
    rows = {
        s.tags["finding"]: s.fields for s in check_batch(batch, CATALOGUE).samples()
    }
    assert rows == {"x": {"active": 1, "text": "a sentence"}, "y": {"active": 0}}
    assert device_findings.rows(PLACE, 5, {}, []) is None


@in_virtual_time
async def test_a_fast_port_without_64_bit_counters_has_no_traffic_and_a_finding() -> (
    None
):
    class Narrow(SimulatedSwitch):
        def rebuild(self) -> None:
            super().rebuild()
            for port in self.ports:
                for column in (6, 7, 8, 9, 10, 11):
                    row = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, column, port.index)
                    self._rows.remove(row)
                    del self._values[snmp_messages.oid_content(row)]

    ports = [SimulatedPort(1, "Fa1", speed_bps=10_000_000), SimulatedPort(2, "Te1")]
    ports[1].speed_bps = 1_000_000_000_000
    async with Narrow("a", ports) as switch:
        for port in ports:
            port.set_rate(1e6, 1e6)
        async with polling(estate(device("a", switch)), QUICK) as (sink, _):
            await until(lambda: len(sink.rows("device")) >= 4, "polls")
    assert any("in_bps" in row for row in sink.rows("interface", port="Fa1"))
    assert not any("in_bps" in row for row in sink.rows("interface", port="Te1"))
    rows = sink.rows("finding", finding=device_findings.COUNTERS_32_BIT)
    assert rows[-1]["active"] == 1
    assert str(rows[-1]["text"]).startswith("Te1 has only 32-bit counters")

"""The busiest ports of the estate, and those with the most errors or discards."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from council_page import NOW_MS, page_client, page_text
from store_doubles import AnswerStore, MemoryStore

from collectors.estate import Device
from collectors.store.query import Row
from dashboards.web import busy_ports
from probes.wire.sample import Sample

# Device, port → share of speed sent, bit/s received, errors and discards per second.
PORTS = {
    ("th-sw1", "Gi1/0/1"): (0.91, 9e8, 0.0, 0.0),
    ("th-sw2", "Gi1/0/2"): (0.40, 4e9, 0.0, 2.5),
    ("lib-sw1", "Gi1/0/3"): (0.10, 1e8, 0.75, 0.0),
    ("lib-sw1", "Gi1/0/4"): (0.0, 0.0, 0.0, 0.0),
    # Of a device that is no longer in the estate.
    ("gone", "Gi1/0/9"): (1.0, 9e9, 9.0, 9.0),
}


def _rows() -> Iterator[Sample]:
    for (device, port), (use, bps, errors, discards) in PORTS.items():
        tags = {"device": device, "site": "x", "role": "switch", "port": port}
        fields = {"in_bps": bps, "out_use_ratio": use, "in_errors_per_s": errors}
        more = {"out_discards_per_s": discards, "state": 3, "expected_up": 0}
        for minute in range(1, 10):
            at_ms = NOW_MS - minute * 30_000
            described = tags | {"description": f"desk of {port}"}
            yield Sample("interface", described, fields | more, at_ms)


@pytest.mark.parametrize(
    ("by", "ports"),
    [
        ("", ["Gi1/0/1", "Gi1/0/2", "Gi1/0/3"]),
        ("use", ["Gi1/0/1", "Gi1/0/2", "Gi1/0/3"]),
        ("traffic", ["Gi1/0/2", "Gi1/0/1", "Gi1/0/3"]),
        ("errors", ["Gi1/0/3"]),
        ("discards", ["Gi1/0/2"]),
        ("%00'", ["Gi1/0/1", "Gi1/0/2", "Gi1/0/3"]),
    ],
)
def test_ports_of_all_sites_are_listed_the_highest_first(
    by: str, ports: list[str]
) -> None:
    with page_client(store=MemoryStore(_rows())) as client:
        page = client.get(f"/ports?by={by}")
    text = page_text(page.text)
    assert re.findall(r"(Gi1/0/\d) desk of", text) == ports
    assert "/devices/gone" not in page.text
    for part in ("91%", "desk of Gi1/0/1", "Town Hall") if not by else ():
        assert part in text


def test_a_quiet_estate_and_a_silent_store_say_so() -> None:
    with page_client(store=MemoryStore()) as client:
        for by, text in (("errors", "No port has errors"), ("use", "No port has traf")):
            assert text in client.get(f"/ports?by={by}").text
    broken = AnswerStore(lambda query: [])
    broken.broken = "gone"
    with page_client(store=broken) as client:
        assert "Not known: the store does not answer" in client.get("/ports").text


def test_no_more_than_fifty_are_listed_whichever_devices_they_are_of() -> None:
    devices = [
        Device(id=f"sw{n}", site="depot", address="10.9.0.1")  # type: ignore[arg-type]
        for n in range(80)
    ]
    ports = {(f"sw{n % 80}", f"p{n}"): float(n) for n in range(1, 400)}
    rows = [
        Row(None, {"device": device, "port": port}, {"out_bps_max": bps})
        for (device, port), bps in ports.items()
    ]
    order = busy_ports.chosen_order("traffic")
    of_devices = {device: bps for (device, _), bps in ports.items()}
    highest = [
        Row(None, {"device": device}, {"out_bps_max": bps})
        for device, bps in of_devices.items()
    ]
    ids = [device.id for device in devices]
    chosen = busy_ports.highest_devices(highest, order, ids)
    assert len(chosen) == 50
    of_chosen = [row for row in rows if row.tags["device"] in chosen]
    listed = busy_ports.busy_ports(of_chosen, order, devices)
    assert [port.port for port in listed] == [f"p{n}" for n in range(399, 349, -1)]

"""Neighbours as rows of the journal, for the topology. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from collectors.batch import Batch
from collectors.snmp.neighbour import Neighbour
from collectors.snmp.neighbours import Heard
from collectors.snmp.poll import Place
from collectors.topology.sighting import Sighting, Who, rows


def heard_rows(
    place: Place, found: Heard, known: Iterable[Neighbour], time_ms: int
) -> list[Batch]:
    """What one look around brought: who the device is, and whom of `known` it hears."""
    return rows(
        (place.device, place.site, place.role),
        Who(place.device, found.sys_name, found.chassis),
        (
            Sighting(
                device=place.device,
                port=each.local_port,
                remote_name=each.remote_name or "",
                remote_port=each.remote_port or "",
                remote_chassis=each.remote_chassis or "",
                remote_address=each.remote_address or "",
                remote_port_descr=each.remote_port_descr or "",
                protocol=each.protocol,
            )
            for each in known
        ),
        time_ms,
        f"poll/{place.device}",
    )

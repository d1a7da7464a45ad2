"""What NetBox answers for a small council, as versions 3 and 4 give it."""

from __future__ import annotations

from typing import Any

import api_doubles

from collectors.importing import netbox
from collectors.importing.rest_client import RestClient

NO_PAUSES = (0.0, 0.0, 0.0)


def choice(value: str) -> dict[str, str]:
    return {"value": value, "label": value.title()}


HALL = {
    "id": 1,
    "name": "Town Hall",
    "slug": "town-hall",
    "status": choice("active"),
    "latitude": 52.6386,
    "longitude": -1.1317,
    "region": {"id": 1, "name": "Town centre", "slug": "town-centre"},
    "group": {"id": 1, "name": "Offices", "slug": "offices"},
}
DEPOT = {"id": 2, "name": "Dépôt ☃", "slug": "depot", "status": choice("active")}
CLOSED = {"id": 3, "name": "Old Mill", "slug": "mill", "status": choice("retired")}


def device(
    id: int, name: str | None, address: str | None, **more: Any
) -> dict[str, Any]:
    ip = None if address is None else {"id": id, "address": address}
    return {
        "id": id,
        "name": name,
        "display": name or f"Catalyst ({id})",
        "site": {"id": 1, "slug": "town-hall"},
        "status": choice("active"),
        "primary_ip": ip,
        "primary_ip4": ip,
        "primary_ip6": None,
        "virtual_chassis": None,
        **more,
    }


PLANNED = choice("planned")
SWITCH = {"id": 7, "name": "Access layer", "slug": "access-layer"}
# A role as version 3 names it, and as version 4 does; scopes likewise.
V3 = {
    "/api/dcim/sites/": [HALL, DEPOT, CLOSED],
    "/api/ipam/prefixes/": [
        {
            "id": 1,
            "prefix": "10.1.0.0/16",
            "site": {"id": 1},
            "status": choice("active"),
        },
        {
            "id": 2,
            "prefix": "10.0.0.0/8",
            "site": {"id": 1},
            "status": choice("container"),
        },
        {"id": 3, "prefix": "10.9.0.0/24", "site": None, "status": choice("active")},
        {
            "id": 4,
            "prefix": "10.2.0.0/24",
            "site": {"id": 2},
            "status": choice("active"),
        },
    ],
    "/api/dcim/devices/": [
        device(1, "th-sw1", "10.1.0.1/24", device_role=SWITCH),
        device(2, "th-rtr", "10.1.0.2/24", device_role={"slug": "wan-router"}),
        device(
            3, "th-sw2", "10.1.0.3/24", device_role=SWITCH, status=choice("planned")
        ),
        device(4, None, None, device_role=SWITCH),
        device(5, "srv", "10.1.0.5/24", device_role={"slug": "server"}),
        device(
            6,
            "stack-1",
            "10.1.0.6/24",
            device_role=SWITCH,
            virtual_chassis={"id": 9, "name": "stack", "master": {"id": 6}},
        ),
        device(
            7,
            "stack-2",
            None,
            device_role=SWITCH,
            virtual_chassis={"id": 9, "name": "stack", "master": {"id": 6}},
        ),
        device(8, "mill-sw", "10.3.0.1/24", device_role=SWITCH, site={"id": 3}),
    ],
    "/api/dcim/virtual-chassis/": [{"id": 9, "name": "stack", "master": {"id": 6}}],
    "/api/circuits/circuits/": [
        {
            "id": 1,
            "cid": "WB-0047",
            "provider": {"id": 1, "name": "Example Telecom"},
            "status": choice("active"),
            "commit_rate": 80_000,
            "termination_date": "2027-03-31",
        },
        {
            "id": 2,
            "cid": "WB-0048",
            "provider": {"id": 1, "name": "Example Telecom"},
            "status": choice("active"),
            "commit_rate": None,
        },
        {
            "id": 3,
            "cid": "OLD",
            "provider": {"id": 1, "name": "Example Telecom"},
            "status": choice("decommissioning"),
            "commit_rate": 1,
        },
    ],
    "/api/circuits/circuit-terminations/": [
        {
            "id": 1,
            "circuit": {"id": 1},
            "term_side": "A",
            "site": {"id": 1},
            "port_speed": 100_000,
            "upstream_speed": 20_000,
            "link_peers": [{"id": 4, "name": "Gi0/1", "device": {"id": 2}}],
            "link_peers_type": "dcim.interface",
        },
        {
            "id": 2,
            "circuit": {"id": 2},
            "term_side": "A",
            "site": {"id": 2},
            "port_speed": 1_000_000,
            "upstream_speed": None,
            "link_peers": [],
        },
    ],
}


def v4() -> dict[str, list[Any]]:
    """The same, in the form of later versions."""
    lists = {path: [dict(row) for row in rows] for path, rows in V3.items()}
    for row in lists["/api/dcim/devices/"]:
        row["role"] = row.pop("device_role")
    for row in lists["/api/ipam/prefixes/"]:
        site = row.pop("site")
        row |= {"scope_type": "dcim.site" if site else None, "scope": site}
        row["scope_id"] = site["id"] if site else None
    for row in lists["/api/circuits/circuit-terminations/"]:
        site = row.pop("site")
        row |= {"termination_type": "dcim.site", "termination_id": site["id"]}
        row["termination"] = site
    return lists


async def read_netbox(
    double: api_doubles.ApiDouble, token: str = "secret"
) -> netbox.NetBoxData:
    headers = netbox.headers(token)
    with double as server:
        async with RestClient("NetBox", server.url, headers, pauses_s=NO_PAUSES) as api:
            return await netbox.fetch(api)

"""What LibreNMS answers for a small council."""

from __future__ import annotations

from typing import Any

import api_doubles
from netbox_answers import NO_PAUSES

from collectors.importing import librenms
from collectors.importing.rest_client import RestClient


def nms(id: int, hostname: str, **more: Any) -> dict[str, Any]:
    return {
        "device_id": id,
        "hostname": hostname,
        "sysName": f"sw-{id}.example.gov.uk",
        "ip": None,
        "overwrite_ip": None,
        "snmpver": "v2c",
        "community": "council",
        "port": 161,
        "transport": "udp",
        "disabled": 0,
        "ignore": 0,
        "snmp_disable": 0,
        "type": "network",
        "os": "ios",
        "hardware": "WS-C2960X-48 switch",
        "location": "Town Hall, cellar",
        **more,
    }


V3_DEVICE = {
    "snmpver": "v3",
    "community": "",
    "authlevel": "authPriv",
    "authname": "towpath",
    "authpass": "an auth password",
    "authalgo": "SHA-256",
    "cryptopass": 'a priv "password" \u2603',
    "cryptoalgo": "AES-256-C",
}
ANSWERS: dict[str, Any] = {
    "/devices": {
        "devices": [
            nms(1, "10.1.0.1"),
            nms(2, "10.1.0.2", **V3_DEVICE),
            nms(3, "10.1.0.3", dependency_parent_hostname="10.1.0.1", port=1161),
            nms(4, "10.1.0.4", disabled=1),
            nms(5, "10.1.0.5", ignore=1, snmpver="v1", community="old"),
            nms(6, "fw.example", ip="10.1.0.6", type="firewall", location=None),
            nms(7, "unknown.invalid"),
            nms(8, "10.1.0.8", snmp_disable=1, type="power"),
            nms(9, "10.1.0.9", dependency_parent_hostname="10.1.0.1,10.1.0.2"),
            nms(10, "10.1.0.10", location="", location_id=4),
        ],
        "count": 10,
    },
    "/resources/locations": {
        "locations": [{"id": 4, "location": "Dépôt", "lat": "52.6579", "lng": -1.0981}]
    },
}


async def read_librenms(double: api_doubles.ApiDouble) -> librenms.LibreNmsData:
    async with RestClient(
        "LibreNMS", double.url, librenms.headers("secret"), pauses_s=NO_PAUSES
    ) as api:
        return await librenms.fetch(api)

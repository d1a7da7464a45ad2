"""Who a device is: the system group (RFC 3418), and what can be read from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from collectors.snmp import oids
from collectors.snmp.entities import CHASSIS, Entity
from collectors.snmp.profiles import Profile, Sayings
from collectors.snmp.session import Session, Value
from collectors.snmp.text import text
from collectors.snmp.walk import Budget, Stamina, get_some, walk

_SYSTEM = [
    oids.SYS_UP_TIME,
    oids.SYS_OBJECT_ID,
    oids.SYS_DESCR,
    oids.SYS_NAME,
    oids.SYS_LOCATION,
    oids.SYS_CONTACT,
]
_SYSTEM_GROUP = "1.3.6.1.2.1.1"
_ENTERPRISES = "1.3.6.1.4.1."
# IANA private enterprise numbers of what councils own.
VENDORS = {
    2: "ibm",
    9: "cisco",
    11: "hp",
    14: "bbn",
    43: "3com",
    45: "nortel",
    161: "cambium",
    171: "d-link",
    207: "allied",
    231: "fujitsu",
    232: "hp",
    236: "samsung",
    248: "hirschmann",
    253: "xerox",
    259: "edgecore",
    311: "microsoft",
    318: "apc",
    367: "ricoh",
    368: "axis",
    476: "vertiv",
    534: "eaton",
    641: "lexmark",
    674: "dell",
    705: "eaton",
    789: "netapp",
    850: "tripp lite",
    890: "zyxel",
    1229: "seh",
    1248: "epson",
    1347: "kyocera",
    1369: "forcepoint",
    1588: "brocade",
    1602: "canon",
    1718: "server technology",
    1916: "extreme",
    1991: "foundry",
    2001: "oki",
    2007: "teldat",
    2011: "huawei",
    2254: "delta",
    2356: "lancom",
    2385: "sharp",
    2435: "brother",
    2440: "efficientip",
    2604: "sophos",
    2606: "rittal",
    2620: "checkpoint",
    2636: "juniper",
    3052: "asentria",
    3097: "watchguard",
    3224: "juniper",
    3375: "f5",
    3417: "bluecoat",
    3699: "nti",
    3717: "geist",
    3742: "edimax",
    3808: "cyberpower",
    3854: "akcp",
    3955: "linksys",
    4196: "siemens",
    4329: "siemens",
    4413: "broadcom",
    4526: "netgear",
    4555: "socomec",
    4874: "juniper",
    5040: "w&t",
    5089: "clavister",
    5491: "riello",
    5624: "enterasys",
    5951: "netscaler",
    6027: "dell",
    6339: "dcn",
    6486: "alcatel-lucent",
    6527: "nokia",
    6530: "2n",
    6574: "synology",
    6666: "innovaphone",
    6876: "vmware",
    6889: "avaya",
    7367: "draytek",
    7779: "infoblox",
    8072: "net-snmp",
    8691: "moxa",
    8741: "sonicwall",
    10002: "ubiquiti",
    10418: "avocent",
    10456: "planet",
    10704: "barracuda",
    11256: "stormshield",
    11863: "tp-link",
    11898: "proxim",
    12148: "eltek",
    12325: "freebsd",
    12356: "fortinet",
    12532: "pulse secure",
    13191: "oneaccess",
    13315: "bluecat",
    13742: "raritan",
    13885: "poly",
    14179: "cisco",
    14525: "juniper",
    14823: "aruba",
    14988: "mikrotik",
    15983: "fortinet",
    16174: "sensatronics",
    16177: "westermo",
    17095: "serverscheck",
    17163: "riverbed",
    17713: "cambium",
    18334: "konica minolta",
    19046: "lenovo",
    20916: "avtech",
    20992: "cradlepoint",
    21067: "sophos",
    21317: "supermicro",
    21796: "hw group",
    22610: "a10",
    23695: "peplink",
    24681: "qnap",
    24693: "firebrick",
    25053: "ruckus",
    25461: "palo alto",
    25506: "h3c",
    26928: "aerohive",
    27514: "qtech",
    27662: "peplink",
    28507: "gude",
    28866: "trendnet",
    29671: "meraki",
    30065: "arista",
    30155: "openbsd",
    31034: "schleifenbauer",
    32750: "ligowave",
    33049: "mellanox",
    34278: "janitza",
    35098: "pica8",
    35265: "eltex",
    36673: "ip infusion",
    38446: "enlogic",
    39052: "vutlan",
    40310: "nvidia",
    41112: "ubiquiti",
    41916: "cisco",
    42397: "grandstream",
    44194: "engenius",
    47196: "aruba",
    48690: "teltonika",
    52642: "fs",
    55108: "rnx",
}


class Identity(msgspec.Struct, frozen=True):
    """None is "the device does not say"."""

    sys_object_id: str | None = None
    sys_name: str | None = None
    sys_descr: str | None = None
    sys_location: str | None = None
    sys_contact: str | None = None
    uptime_s: float | None = None
    vendor: str | None = None
    os: str | None = None
    hardware: str | None = None
    version: str | None = None
    serial: str | None = None

    def with_chassis(self, entities: Sequence[Entity]) -> Identity:
        """Fills what is missing from the chassis of ENTITY-MIB."""
        chassis = [e for e in entities if e.class_ == CHASSIS] or list(entities[:1])
        if not chassis:
            return self
        first = chassis[0]
        return msgspec.structs.replace(
            self,
            hardware=self.hardware or first.model or None,
            serial=self.serial or first.serial or None,
            version=self.version or first.software or None,
        )


async def read_system(
    session: Session, stamina: Stamina, budget: Budget
) -> dict[str, Value]:
    """The system group. Raises `Failed`.

    Some agents answer a GETNEXT on it wrongly, others leave a column out and refuse
    the GET in v1: so GET first, and a walk where that brought nothing.
    """
    found = await get_some(session, _SYSTEM, stamina, budget)
    if oids.SYS_OBJECT_ID not in found and oids.SYS_DESCR not in found:
        found |= await walk(session, _SYSTEM_GROUP, stamina, budget)
    if found and oids.SYS_UP_TIME not in found:
        stamina.anchor = next(iter(found))
    return found


def identify(found: Mapping[str, Value]) -> Identity:
    """What the system group says. Pure."""
    object_id = found.get(oids.SYS_OBJECT_ID)
    sys_object_id = object_id.lstrip(".") if isinstance(object_id, str) else None
    ticks = found.get(oids.SYS_UP_TIME)
    return Identity(
        sys_object_id=sys_object_id,
        sys_name=text(found.get(oids.SYS_NAME)),
        sys_descr=text(found.get(oids.SYS_DESCR)),
        sys_location=text(found.get(oids.SYS_LOCATION)),
        sys_contact=text(found.get(oids.SYS_CONTACT)),
        uptime_s=ticks / oids.TICKS_PER_S if isinstance(ticks, int) else None,
        vendor=_vendor(sys_object_id),
    )


async def named(
    who: Identity, profiles: Sequence[Profile], sayings: Sayings
) -> Identity:
    """`who` with what the profiles, the most particular first, know of it. Raises
    `Failed`."""
    facts: dict[str, str | None] = {}
    for fact in ("vendor", "os", "hardware", "version", "serial"):
        sources = [s for p in profiles for s in getattr(p.body.identity, fact)]
        heads = (getattr(profile.head, fact, None) for profile in profiles)
        facts[fact] = (
            await sayings.first(sources)
            or next((each for each in heads if each), None)
            or getattr(who, fact)
        )
    return msgspec.structs.replace(who, **facts)


def _vendor(sys_object_id: str | None) -> str | None:
    if sys_object_id is None or not sys_object_id.startswith(_ENTERPRISES):
        return None
    number = sys_object_id.removeprefix(_ENTERPRISES).split(".")[0]
    return VENDORS.get(int(number)) if number.isdigit() else None

"""OIDs and codes of the standard MIBs.

OIDs are text without a leading dot, in all requests and answers of a session.
"""

from __future__ import annotations

# SNMPv2-MIB (RFC 3418) and IF-MIB (RFC 2863) scalars.
SYS_DESCR = "1.3.6.1.2.1.1.1.0"
SYS_OBJECT_ID = "1.3.6.1.2.1.1.2.0"
SYS_UP_TIME = "1.3.6.1.2.1.1.3.0"
SYS_CONTACT = "1.3.6.1.2.1.1.4.0"
SYS_NAME = "1.3.6.1.2.1.1.5.0"
SYS_LOCATION = "1.3.6.1.2.1.1.6.0"
IF_NUMBER = "1.3.6.1.2.1.2.1.0"
IF_TABLE_LAST_CHANGE = "1.3.6.1.2.1.31.1.5.0"

# ifTable
IF_INDEX = "1.3.6.1.2.1.2.2.1.1"
IF_DESCR = "1.3.6.1.2.1.2.2.1.2"
IF_TYPE = "1.3.6.1.2.1.2.2.1.3"
IF_MTU = "1.3.6.1.2.1.2.2.1.4"
IF_SPEED = "1.3.6.1.2.1.2.2.1.5"
IF_PHYS_ADDRESS = "1.3.6.1.2.1.2.2.1.6"
IF_ADMIN_STATUS = "1.3.6.1.2.1.2.2.1.7"
IF_OPER_STATUS = "1.3.6.1.2.1.2.2.1.8"
IF_IN_OCTETS = "1.3.6.1.2.1.2.2.1.10"
IF_IN_UCAST = "1.3.6.1.2.1.2.2.1.11"
IF_IN_DISCARDS = "1.3.6.1.2.1.2.2.1.13"
IF_IN_ERRORS = "1.3.6.1.2.1.2.2.1.14"
IF_OUT_OCTETS = "1.3.6.1.2.1.2.2.1.16"
IF_OUT_UCAST = "1.3.6.1.2.1.2.2.1.17"
IF_OUT_DISCARDS = "1.3.6.1.2.1.2.2.1.19"
IF_OUT_ERRORS = "1.3.6.1.2.1.2.2.1.20"

# ifXTable
IF_NAME = "1.3.6.1.2.1.31.1.1.1.1"
IF_IN_MCAST = "1.3.6.1.2.1.31.1.1.1.2"
IF_IN_BCAST = "1.3.6.1.2.1.31.1.1.1.3"
IF_HC_IN_OCTETS = "1.3.6.1.2.1.31.1.1.1.6"
IF_HC_IN_UCAST = "1.3.6.1.2.1.31.1.1.1.7"
IF_HC_IN_MCAST = "1.3.6.1.2.1.31.1.1.1.8"
IF_HC_IN_BCAST = "1.3.6.1.2.1.31.1.1.1.9"
IF_HC_OUT_OCTETS = "1.3.6.1.2.1.31.1.1.1.10"
IF_HC_OUT_UCAST = "1.3.6.1.2.1.31.1.1.1.11"
IF_HIGH_SPEED = "1.3.6.1.2.1.31.1.1.1.15"
IF_ALIAS = "1.3.6.1.2.1.31.1.1.1.18"
IF_DISCONTINUITY = "1.3.6.1.2.1.31.1.1.1.19"

# EtherLike-MIB (RFC 3635) and BRIDGE-MIB (RFC 4188)
DOT3_DUPLEX = "1.3.6.1.2.1.10.7.2.1.19"
BASE_PORT_IF_INDEX = "1.3.6.1.2.1.17.1.4.1.2"

# LLDP-MIB (IEEE 802.1AB-2005)
LLDP_LOC_PORT_SUBTYPE = "1.0.8802.1.1.2.1.3.7.1.2"
LLDP_LOC_PORT_ID = "1.0.8802.1.1.2.1.3.7.1.3"
LLDP_LOC_PORT_DESCR = "1.0.8802.1.1.2.1.3.7.1.4"
LLDP_REM_TABLE = "1.0.8802.1.1.2.1.4.1.1"

ADMIN = {1: "up", 2: "down", 3: "testing"}
OPER = {
    1: "up",
    2: "down",
    3: "testing",
    4: "unknown",
    5: "dormant",
    6: "notPresent",
    7: "lowerLayerDown",
}
UP, DOWN, NOT_PRESENT = 1, 2, 6
DUPLEX = {2: "half", 3: "full"}

# TimeTicks are hundredths of a second in 32 bits: they wrap after 497.1 days.
TICKS_PER_S = 100
TICKS_WRAP = 2**32


def tail(oid: str, base: str) -> str:
    """What follows `base` in `oid`, which must be under it: the index of the row."""
    return oid[len(base) + 1 :]


def under(oid: str, base: str) -> bool:
    return oid.startswith(base) and oid[len(base) : len(base) + 1] == "."


def parts(oid: str) -> tuple[int, ...]:
    """The numbers of `oid`; OIDs are ordered by these, not by their text."""
    return tuple(map(int, oid.split(".")))

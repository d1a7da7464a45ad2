"""The laptop's network interfaces, and which of them carries its traffic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from probes import platforms
from probes.platforms.routing_table import local_address as local_address
from probes.platforms.system_facts import Interface as Interface
from probes.wire.failure import Outcome

# Phones in USB mode; `cdc_*` may be a phone or a docking station: unknown.
_PHONE_DRIVERS = {"ipheth", "rndis_host", "cdc_mbim", "qmi_wwan", "option"}
_EITHER_DRIVERS = {"cdc_ether", "cdc_ncm"}


def interfaces() -> list[Interface]:
    """All interfaces but loopback; empty where the system does not tell."""
    found = platforms.interfaces()
    return [] if isinstance(found, Outcome) else found


def interfaces_with(address: str, among: Sequence[Interface]) -> list[Interface]:
    """The interfaces that have `address`. Pure."""
    bare = address.split("%")[0]
    return [each for each in among if bare and bare in each.addresses]


def connection_type(
    interface: Interface | None,
) -> Literal["wired", "wifi", "mobile", "unknown"]:
    """What kind of link it is; unknown where it could be two things. Pure."""
    if interface is None:
        return "unknown"
    if interface.kind == "wlan":
        return "wifi"
    if interface.kind == "wwan" or interface.driver in _PHONE_DRIVERS:
        return "mobile"
    if interface.driver in _EITHER_DRIVERS or interface.kind == "ppp":
        return "unknown"
    return "wired" if interface.physical else "unknown"

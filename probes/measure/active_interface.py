"""The laptop's network interfaces, and what kind of connection each one is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from probes import platforms
from probes.platforms.routing_table import local_address as local_address
from probes.platforms.system_facts import Interface as Interface
from probes.wire.failure import Outcome

# Drivers of phones in USB mode. A `cdc_*` driver may be a phone or a docking station.
_PHONE_DRIVERS = {"ipheth", "rndis_host", "cdc_mbim", "qmi_wwan", "option"}
_EITHER_DRIVERS = {"cdc_ether", "cdc_ncm"}


def interfaces() -> list[Interface]:
    """All interfaces except loopback; empty if the system does not list them."""
    listed = platforms.interfaces()
    return [] if isinstance(listed, Outcome) else listed


def interfaces_with(address: str, among: Sequence[Interface]) -> list[Interface]:
    """The interfaces that have `address`. Pure."""
    bare = address.split("%")[0]
    return [interface for interface in among if bare and bare in interface.addresses]


def connection_type(
    interface: Interface | None,
) -> Literal["wired", "wifi", "mobile", "unknown"]:
    """The kind of connection; unknown if it could be more than one. Pure."""
    if interface is None:
        return "unknown"
    if interface.kind == "wlan":
        return "wifi"
    if interface.kind == "wwan" or interface.driver in _PHONE_DRIVERS:
        return "mobile"
    if interface.driver in _EITHER_DRIVERS or interface.kind == "ppp":
        return "unknown"
    return "wired" if interface.physical else "unknown"

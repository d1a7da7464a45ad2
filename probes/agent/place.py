"""Where the laptop is: office (which), home, elsewhere or unknown, with the reason.

The comparison of home and office depends on it, and so does what an alert leaves out.
It is therefore right, or it is unknown. Three things are certain:

* the council's HTTPS beacon answered, with a certificate that is trusted, over a
  physical interface and not through a tunnel: an office;
* the laptop is in a network that its user has named (`towpath-agent place home`), or
  where the beacon has answered before (so that an office whose line is down is still an
  office). A network is recognised by a keyed hash of its gateway's hardware address and
  its subnet, which is kept here and never sent;
* the physical link, never the tunnel, is in a network of the council's that nobody else
  can have, or in a private one whose name servers are the council's own
  (`probes/agent/office_networks.py`).

A private address alone proves nothing: 10.0.0.0/8 is a council, a hotel and a home.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from probes import platforms
from probes.agent.beacon import PlaceEvidence, look_for_beacon
from probes.agent.office_networks import OfficeMatch, match_office
from probes.measure.active_interface import connection_type
from probes.measure.background import in_background
from probes.measure.tunnels import (
    find_tunnels,
    managed_connections,
    physical_interface,
    vpn_product,
    vpn_state,
)
from probes.platforms.system_facts import Interface, VpnConnection
from probes.wire.clock import MonotonicClock
from probes.wire.data_costs import PLACE_BYTES, PLACE_EVERY_S
from probes.wire.failure import Outcome
from probes.wire.policy import Office
from probes.wire.report import Place, Whereabouts
from probes.wire.state_file import StateFile

_log = logging.getLogger(__name__)

PLACES = "places.json"
MAX_PLACES = 100
_LOSS = "networks are unknown until they are named, or an office is seen, again"


class PlaceVerdict(msgspec.Struct, frozen=True):
    """Where the laptop is, and the reason, which only its user sees."""

    whereabouts: Whereabouts
    reason: str


_UNKNOWN = {
    "not_configured": "your council has no beacon that would show an office",
    "not_secure": "the council's beacon has no https address, so it proves nothing",
    "tunnel": "the council's beacon answered, but through the VPN",
    "hidden": "the council's beacon answered, but perhaps through the VPN, which hides "
    "its routes",
    "silent": "the council's beacon did not answer here",
    "not_supported": "this system does not list its network interfaces",
}


def decide_place(
    evidence: PlaceEvidence, remembered: str, office: OfficeMatch
) -> tuple[Place, str, str]:
    """Returns place, site and reason, by what the beacon showed, what is remembered of
    this network (`home`, `elsewhere`, `office:<site>` or nothing), and the office whose
    network the physical link is in. Pure."""
    kind, _, site = remembered.partition(":")
    if evidence.how == "inside":
        return "office", evidence.site, "the council's beacon answered from inside"
    if evidence.how == "no_network":
        return "unknown", "", "there is no network"
    if kind == "home":
        return "home", "", "you said that this network is your home"
    if kind == "elsewhere":
        return "elsewhere", "", "you said that this network is neither home nor office"
    if kind == "office" and site:
        return (
            "office",
            site,
            "the council's beacon has answered in this network before",
        )
    if office.proved:
        return "office", office.site, office.reason
    reason = _UNKNOWN[evidence.how]
    return "unknown", "", f"{reason}; {office.reason}" if office.reason else reason


class KnownPlaces:
    """What networks are, by their user or by the beacon: a small file beside the spool,
    which never leaves the laptop."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._file, self._key = StateFile(folder / PLACES, _LOSS), key

    def fingerprint(self, interface: Interface | None, hardware: str) -> str:
        """Returns a keyed hash of the gateway's hardware address and the subnet, empty
        if there is none (mobile)."""
        if interface is None or not hardware:
            return ""
        # IPv6 prefixes change from day to day with some providers. A line without IPv4
        # is recognised by its router alone.
        networks = {
            str(ipaddress.ip_network(f"{address}/24", strict=False))
            for address in interface.global_addresses
            if ":" not in address
        }
        text = " ".join([hardware, *sorted(networks)])
        return hashlib.blake2b(text.encode(), key=self._key, digest_size=16).hexdigest()

    def known(self, fingerprint: str) -> str:
        """Returns what is remembered of a network; empty if nothing is."""
        if not fingerprint:
            return ""
        nothing: dict[str, str] = {}
        return self._file.read(_decode_places, nothing).get(fingerprint, "")

    def remember(self, fingerprint: str, word: str) -> None:
        """Saves `word` for a network; an empty one forgets it. The oldest of 100 makes
        room. Raises `OSError`."""
        # What cannot be read now must not be overwritten.
        nothing: dict[str, str] = {}
        places = self._file.load(_decode_places, nothing)
        if not fingerprint or places.get(fingerprint, "") == word:
            return
        places.pop(fingerprint, None)
        if word:
            places[fingerprint] = word
        while len(places) > MAX_PLACES:
            places.pop(next(iter(places)))
        self._file.save(msgspec.json.encode(places))


def _decode_places(content: bytes) -> dict[str, str]:
    return msgspec.json.decode(content, type=dict[str, str])


class Locator:
    """`await where(beacon_url, offices)` returns where the laptop is. It looks again
    when the network has changed, and every half hour. `cost_bytes`: the network data
    used for it so far."""

    def __init__(
        self,
        places: KnownPlaces,
        ca_file: str = "",
        gather: Callable[[], list[Interface] | Outcome] = platforms.interfaces,
        neighbour: Callable[[str, str], str] = platforms.hardware_address,
        resolvers: Callable[[], Sequence[str]] = platforms.resolvers,
        managed: Callable[[], list[VpnConnection]] = managed_connections,
        monotonic_s: MonotonicClock = time.monotonic,
        remember: bool = True,
    ) -> None:
        self._places, self._ca_file = places, ca_file
        self._gather, self._neighbour, self._resolvers = gather, neighbour, resolvers
        self._managed, self._monotonic_s = managed, monotonic_s
        self._remember_offices = remember
        self.cost_bytes = 0
        self._network: object = None
        self._looked_s = 0.0
        self._last = PlaceVerdict(Whereabouts(), "the agent has not looked yet")

    async def where(
        self, beacon_url: str, offices: Sequence[Office] = ()
    ) -> PlaceVerdict:
        """Returns where the laptop is, by the beacon and the offices' networks."""
        gathered = self._gather()
        interfaces = gathered if isinstance(gathered, list) else []
        physical = physical_interface(interfaces)
        network = (
            beacon_url,
            offices,
            tuple(
                (i.name, i.index, i.addresses, i.gateway) for i in interfaces if i.up
            ),
        )
        now_s = self._monotonic_s()
        if network == self._network and now_s - self._looked_s < PLACE_EVERY_S:
            return self._last
        # This runs commands of the system, so not in the loop's own thread.
        managed = await in_background(self._managed)
        tunnels = find_tunnels(interfaces, managed)
        if isinstance(gathered, Outcome):
            evidence = PlaceEvidence("not_supported")
        else:
            if physical is not None and beacon_url:
                self.cost_bytes += PLACE_BYTES
            evidence = await look_for_beacon(
                beacon_url, self._ca_file, interfaces, physical, tunnels
            )
        fingerprint = self._fingerprint(physical)
        if evidence.how == "inside" and self._remember_offices:
            self._remember_office(fingerprint, evidence.site)
        # With a tunnel up, the name servers may be the tunnel's.
        no_tunnel = vpn_state(tunnels) in {"down", "absent"}
        office = match_office(physical, offices, self._resolvers() if no_tunnel else ())
        place, site, reason = decide_place(
            evidence, self._places.known(fingerprint), office
        )
        self._last = PlaceVerdict(
            Whereabouts(
                place=place,
                site=site,
                connection=connection_type(physical),
                vpn=vpn_state(tunnels) if isinstance(gathered, list) else "unknown",
            ),
            reason,
        )
        self._network, self._looked_s = network, now_s
        return self._last

    def network(self) -> object:
        """Returns a value that changes with the network, and when a tunnel connects or
        disconnects. It leaves out IPv6 addresses: many change every few hours."""
        interfaces = self._gather()
        if isinstance(interfaces, Outcome):
            return None
        physical = physical_interface(interfaces)
        links = [] if physical is None else [physical]
        links += [
            interface
            for interface in interfaces
            if interface.up and vpn_product(interface) is not None
        ]
        return tuple(
            (link.name, link.index, link.gateway, ipv4)
            for link in links
            if (ipv4 := tuple(a for a in link.global_addresses if ":" not in a))
            or link.gateway
            or link.routed
        )

    def set_place(self, word: str) -> bool:
        """Saves what the user says of the present network. Returns False if it cannot
        be recognised again."""
        interfaces = self._gather()
        if not isinstance(interfaces, list):
            return False
        fingerprint = self._fingerprint(physical_interface(interfaces))
        if fingerprint:
            self._places.remember(fingerprint, word)
        return bool(fingerprint)

    def _fingerprint(self, physical: Interface | None) -> str:
        if physical is None or not physical.gateway:
            return ""
        hardware = self._neighbour(physical.gateway, physical.name)
        return self._places.fingerprint(physical, hardware)

    def _remember_office(self, fingerprint: str, site: str) -> None:
        try:
            # What the user said of a network is not overwritten.
            if self._places.known(fingerprint) not in {"home", "elsewhere"}:
                self._places.remember(fingerprint, f"office:{site}")
        except OSError as error:
            _log.warning("office_not_remembered error=%s", error)

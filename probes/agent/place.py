"""Where the laptop is: office (which), home, elsewhere, or unknown, with the reason.

Parity between home and office, and what is left out of an alert, hang on it; so it is
right or it says unknown. Only two things are sure:

* the council's HTTPS beacon answered, with a certificate that is trusted, over a
  physical interface and not through a tunnel: an office;
* the laptop stands in a network whose name the person gave (`towpath-agent place
  home`), or where the beacon has answered before (so that an office with a dead line
  is still an office). A network is known again by a keyed hash of its gateway's
  hardware address and its subnet; it is kept here and never sent;
* the physical link, never the tunnel, stands in a network of the council's that nobody
  else can have, or in a private one whose name servers are the council's own
  (`probes/agent/office_networks.py`).

A private address alone proves nothing: 10.0.0.0/8 is a council, a hotel and a home.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from probes import platforms
from probes.agent.office_networks import Stands, stands_in
from probes.measure.active_interface import connection_type, interfaces_with
from probes.measure.background import in_background
from probes.measure.tunnels import (
    Tunnel,
    find_tunnels,
    managed_connections,
    physical_interface,
    routes_hidden,
    vpn_product,
    vpn_state,
)
from probes.platforms.system_facts import Interface, VpnConnection
from probes.wire.atomic_file import replace_file
from probes.wire.clock import MonotonicClock
from probes.wire.failure import Outcome
from probes.wire.policy import Beacon, Office
from probes.wire.report import Place, Whereabouts

log = logging.getLogger(__name__)

PLACES = "places.json"
BEACON_S = 5.0
MAX_BEACON_BYTES = 4_096
MAX_PLACES = 100
AGAIN_S = 900.0


class PlaceEvidence(msgspec.Struct, frozen=True):
    """What the beacon said: `inside` with the site, or why that is not known.

    `hidden`: it answered, but a VPN is at work that routes do not show.
    """

    how: Literal[
        "inside",
        "tunnel",
        "hidden",
        "silent",
        "not_configured",
        "not_secure",
        "no_network",
        "not_supported",
    ]
    site: str = ""


class PlaceVerdict(msgspec.Struct, frozen=True):
    """Where the laptop is, and why that is believed (for its owner, never sent)."""

    whereabouts: Whereabouts
    reason: str


_UNKNOWN = {
    "not_configured": "the council has set up no beacon that could tell",
    "not_secure": "the council's beacon has no https address, so it proves nothing",
    "tunnel": "the beacon answered, but through the VPN",
    "hidden": "the beacon answered, but perhaps through the VPN: its ways are hidden",
    "silent": "the council's beacon did not answer here",
    "not_supported": "this system does not tell its network interfaces",
}


def judge(
    seen: PlaceEvidence, remembered: str, stands: Stands
) -> tuple[Place, str, str]:
    """(place, site, reason) from what the beacon said, what is remembered of this
    network (`home`, `elsewhere`, `office:<site>` or nothing) and the office whose
    network the physical link stands in. Pure."""
    kept, _, site = remembered.partition(":")
    if seen.how == "inside":
        return "office", seen.site, "the council's beacon answered from inside"
    if seen.how == "no_network":
        return "unknown", "", "there is no network"
    if kept == "home":
        return "home", "", "you said that this network is your home"
    if kept == "elsewhere":
        return "elsewhere", "", "you said that this network is neither home nor office"
    if kept == "office" and site:
        return (
            "office",
            site,
            "the council's beacon has answered in this network before",
        )
    if stands.proved:
        return "office", stands.site, stands.reason
    reason = _UNKNOWN[seen.how]
    return "unknown", "", f"{reason}; {stands.reason}" if stands.reason else reason


class KnownPlaces:
    """What the person or the beacon said of networks: a small file beside the spool,
    which never leaves the laptop."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._path, self._key = folder / PLACES, key

    def fingerprint(self, interface: Interface | None, hardware: str) -> str:
        """A keyed hash of the gateway's hardware address and the subnet, empty where
        there is none (mobile)."""
        if interface is None or not hardware:
            return ""
        # IPv6 prefixes change from day to day with some providers; a line without IPv4
        # is known by its router alone.
        networks = {
            str(ipaddress.ip_network(f"{each}/24", strict=False))
            for each in interface.global_addresses
            if ":" not in each
        }
        text = " ".join([hardware, *sorted(networks)])
        return hashlib.blake2b(text.encode(), key=self._key, digest_size=16).hexdigest()

    def known(self, fingerprint: str) -> str:
        return self._read().get(fingerprint, "") if fingerprint else ""

    def remember(self, fingerprint: str, word: str) -> None:
        """Notes `word` (empty forgets). The oldest of 100 makes room."""
        places = self._read()
        if not fingerprint or places.get(fingerprint, "") == word:
            return
        places.pop(fingerprint, None)
        if word:
            places[fingerprint] = word
        while len(places) > MAX_PLACES:
            places.pop(next(iter(places)))
        replace_file(self._path, msgspec.json.encode(places), durable=True)

    def _read(self) -> dict[str, str]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, str])
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return {}


class Locator:
    """`await where(beacon_url, offices)`: the judgement, asked again when the network
    changed, and every quarter of an hour."""

    def __init__(
        self,
        places: KnownPlaces,
        ca_file: str = "",
        gather: Callable[[], list[Interface] | Outcome] = platforms.interfaces,
        neighbour: Callable[[str, str], str] = platforms.hardware_address,
        resolvers: Callable[[], Sequence[str]] = platforms.resolvers,
        managed: Callable[[], list[VpnConnection]] = managed_connections,
        monotonic_s: MonotonicClock = time.monotonic,
        note: bool = True,
    ) -> None:
        self._places, self._ca_file = places, ca_file
        self._gather, self._neighbour, self._resolvers = gather, neighbour, resolvers
        self._managed, self._monotonic_s, self._keeps = managed, monotonic_s, note
        self._network: object = None
        self._asked_s = 0.0
        self._last = PlaceVerdict(Whereabouts(), "not looked at yet")

    async def where(
        self, beacon_url: str, offices: Sequence[Office] = ()
    ) -> PlaceVerdict:
        among = self._gather()
        told = among if isinstance(among, list) else []
        line = physical_interface(told)
        network = (
            beacon_url,
            offices,
            tuple((i.name, i.index, i.addresses, i.gateway) for i in told if i.up),
        )
        now_s = self._monotonic_s()
        if network == self._network and now_s - self._asked_s < AGAIN_S:
            return self._last
        # Commands of the system: not in the loop's own thread.
        managed = await in_background(self._managed)
        found = find_tunnels(told, managed)
        if isinstance(among, Outcome):
            seen = PlaceEvidence("not_supported")
        else:
            seen = await self._look(beacon_url, told, line, found)
        mark = self._mark(line)
        if seen.how == "inside" and self._keeps:
            self._note(mark, f"office:{seen.site}")
        # With a tunnel up, the name servers may be the tunnel's.
        alone = vpn_state(found) in {"down", "absent"}
        stands = stands_in(line, offices, self._resolvers() if alone else ())
        place, site, reason = judge(seen, self._places.known(mark), stands)
        self._last = PlaceVerdict(
            Whereabouts(
                place=place,
                site=site,
                connection=connection_type(line),
                vpn=vpn_state(found) if isinstance(among, list) else "unknown",
            ),
            reason,
        )
        self._network, self._asked_s = network, now_s
        return self._last

    def network(self) -> object:
        """What is another value in another network, or when a tunnel came or went.
        IPv6 addresses are left out: many change every few hours where they are."""
        among = self._gather()
        if isinstance(among, Outcome):
            return None
        line = physical_interface(among)
        ways = [] if line is None else [line]
        ways += [each for each in among if each.up and vpn_product(each) is not None]
        return tuple(
            (each.name, each.index, each.gateway, old)
            for each in ways
            if (old := tuple(a for a in each.global_addresses if ":" not in a))
            or each.gateway
            or each.routed
        )

    def set_place(self, word: str) -> bool:
        """Notes what the person says of the present network; False if it cannot be
        known again."""
        among = self._gather()
        mark = self._mark(physical_interface(among)) if isinstance(among, list) else ""
        if mark:
            self._places.remember(mark, word)
        return bool(mark)

    def _mark(self, line: Interface | None) -> str:
        if line is None or not line.gateway:
            return ""
        hardware = self._neighbour(line.gateway, line.name)
        return self._places.fingerprint(line, hardware)

    def _note(self, mark: str, word: str) -> None:
        try:
            # The person's own word for a network is not overwritten.
            if self._places.known(mark) not in {"home", "elsewhere"}:
                self._places.remember(mark, word)
        except OSError as error:
            log.warning("this office cannot be remembered: %s", error)

    async def _look(
        self,
        url: str,
        among: Sequence[Interface],
        line: Interface | None,
        found: Sequence[Tunnel],
    ) -> PlaceEvidence:
        if line is None:
            return PlaceEvidence("no_network")
        if not url:
            return PlaceEvidence("not_configured")
        if not url.lower().startswith("https://"):
            return PlaceEvidence("not_secure")
        answer = await ask_beacon(url, self._ca_file)
        return (
            PlaceEvidence("silent") if answer is None else came_by(answer, among, found)
        )


class BeaconAnswer(msgspec.Struct, frozen=True):
    """What a beacon said. `local`: the laptop's own address of that connection; `seen`:
    the one the beacon saw, empty where it does not say."""

    site: str
    local: str
    seen: str = ""


def came_by(
    answer: BeaconAnswer, among: Sequence[Interface], found: Sequence[Tunnel]
) -> PlaceEvidence:
    """Whether the beacon was reached without a tunnel. Pure.

    The connection's own address must belong to interfaces that are no VPN's, and to no
    other. A filter driver or an IPsec policy takes traffic from the physical interface
    all the same; then only a beacon that saw that very address proves that none did.
    """
    owners = interfaces_with(answer.local, among)
    if not owners or any(vpn_product(each) is not None for each in owners):
        return PlaceEvidence("tunnel")
    if answer.seen:
        # Another address on its way is a tunnel's, or a translator's: no proof.
        return (
            PlaceEvidence("inside", answer.site)
            if same(answer)
            else PlaceEvidence("tunnel")
        )
    return (
        PlaceEvidence("hidden")
        if routes_hidden(found)
        else PlaceEvidence("inside", answer.site)
    )


def same(answer: BeaconAnswer) -> bool:
    """Whether the beacon saw the laptop's own address. Pure."""
    try:
        local, seen = (
            ipaddress.ip_address(each.split("%")[0])
            for each in (answer.local, answer.seen)
        )
    except ValueError:
        return False
    mapped = getattr(seen, "ipv4_mapped", None)
    return local in (seen, mapped)


async def ask_beacon(url: str, ca_file: str = "") -> BeaconAnswer | None:
    """What the beacon said, None where none answered. Never through a proxy: the proxy
    is inside, the laptop may not be."""
    import httpx2

    from probes.agent.publish_https import trust

    try:
        async with (
            asyncio.timeout(BEACON_S),
            httpx2.AsyncClient(
                verify=trust(ca_file), trust_env=False, timeout=BEACON_S
            ) as client,
            client.stream("GET", url) as response,
        ):
            stream = response.extensions["network_stream"]
            local = str(stream.get_extra_info("client_addr")[0]).split("%")[0]
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MAX_BEACON_BYTES:
                    return None
        if response.status_code != 200:
            return None
        beacon = msgspec.json.decode(bytes(body), type=Beacon)
    except (
        TimeoutError,
        OSError,
        KeyError,
        TypeError,
        httpx2.HTTPError,
        httpx2.InvalidURL,
        httpx2.StreamError,
        msgspec.MsgspecError,
        UnicodeDecodeError,
        RecursionError,
    ):
        return None
    return BeaconAnswer(beacon.site, local, beacon.seen)

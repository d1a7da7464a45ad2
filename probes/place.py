"""Where the laptop is: office (which), home, elsewhere, or unknown, with the reason.

Parity between home and office, and what is left out of an alert, hang on it; so it is
right or it says unknown. Only two things are sure:

* the council's HTTPS beacon answered, with a certificate that is trusted, over a
  physical interface and not through a tunnel: an office;
* the laptop stands in a network whose name the person gave (`towpath-agent place
  home`), or where the beacon has answered before (so that an office with a dead line
  is still an office). A network is known again by a keyed hash of its gateway's
  hardware address and its subnet; it is kept here and never sent.

An address alone proves nothing: 10.0.0.0/8 is a council, a hotel and a home.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from probes.interfaces import Interface, interfaces, supported
from probes.policy import Beacon
from probes.private import write_privately
from probes.report import Place, Whereabouts
from probes.vpn import recognise, state_of, tunnels

log = logging.getLogger(__name__)

PLACES = "places.json"
BEACON_S = 5.0
MAX_BEACON_BYTES = 4_096
MAX_PLACES = 100
AGAIN_S = 900.0

# Phones in USB mode; `cdc_*` may be a phone or a docking station: unknown.
_PHONE_DRIVERS = {"ipheth", "rndis_host", "cdc_mbim", "qmi_wwan", "option"}
_EITHER_DRIVERS = {"cdc_ether", "cdc_ncm"}


class Seen(msgspec.Struct, frozen=True):
    """What the beacon said: `inside` with the site, or why that is not known."""

    how: Literal["inside", "tunnel", "silent", "not_configured", "no_network"]
    site: str = ""


class Judgement(msgspec.Struct, frozen=True):
    """Where the laptop is, and why that is believed (for its owner, never sent)."""

    whereabouts: Whereabouts
    reason: str


def physical(among: Sequence[Interface]) -> Interface | None:
    """The interface that really carries the traffic, under any tunnel. Pure."""
    usable = [
        each
        for each in among
        if each.up and each.global_addresses and recognise(each) is None
    ]
    ranked = sorted(
        usable,
        key=lambda each: (
            each.default_metric is None,
            each.default_metric or 0,
            not each.physical,
            each.name,
        ),
    )
    return ranked[0] if ranked and (ranked[0].routed or ranked[0].physical) else None


def connection(
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


def judge(seen: Seen, remembered: str) -> tuple[Place, str, str]:
    """(place, site, reason) from what the beacon said and what is remembered of this
    network (`home`, `elsewhere`, `office:<site>` or nothing). Pure."""
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
    if seen.how == "not_configured":
        return "unknown", "", "the council has set up no beacon that could tell"
    if seen.how == "tunnel":
        return "unknown", "", "the beacon answered, but through the VPN"
    return "unknown", "", "the council's beacon did not answer here"


class Places:
    """What the person or the beacon said of networks: a small file beside the spool,
    which never leaves the laptop."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._path, self._key = folder / PLACES, key

    def fingerprint(self, interface: Interface | None, arp: str) -> str:
        """A keyed hash of the gateway's hardware address and the subnet, empty where
        there is none (mobile). `arp`: the text of /proc/net/arp."""
        if interface is None or not interface.gateway:
            return ""
        hardware = _hardware_address(arp, interface.gateway)
        if not hardware:
            return ""
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
        write_privately(self._path, msgspec.json.encode(places))

    def _read(self) -> dict[str, str]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, str])
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return {}


class Locator:
    """`await where(beacon_url)`: the judgement, asked again when the network changed,
    and every quarter of an hour."""

    def __init__(
        self,
        places: Places,
        ca_file: str = "",
        gather: Callable[[], list[Interface]] = interfaces,
        arp: Path = Path("/proc/net/arp"),
        monotonic: Callable[[], float] = time.monotonic,
        note: bool = True,
    ) -> None:
        self._places, self._ca_file = places, ca_file
        self._gather, self._arp, self._monotonic = gather, arp, monotonic
        self._keeps = note
        self._network: object = None
        self._asked_s = 0.0
        self._last = Judgement(Whereabouts(), "not looked at yet")

    async def where(self, beacon_url: str) -> Judgement:
        among = self._gather()
        line = physical(among)
        network = (
            beacon_url,
            tuple((i.name, i.addresses, i.gateway) for i in among if i.up),
        )
        now_s = self._monotonic()
        if network == self._network and now_s - self._asked_s < AGAIN_S:
            return self._last
        seen = await self._look(beacon_url, among, line)
        mark = self._places.fingerprint(line, _text(self._arp))
        if seen.how == "inside" and self._keeps:
            self._note(mark, f"office:{seen.site}")
        place, site, reason = judge(seen, self._places.known(mark))
        self._last = Judgement(
            Whereabouts(
                place=place,
                site=site,
                connection=connection(line),
                vpn=state_of(tunnels(among)) if supported() else "unknown",
            ),
            reason,
        )
        self._network, self._asked_s = network, now_s
        return self._last

    def say(self, word: str) -> bool:
        """Notes what the person says of the present network; False if it cannot be
        known again."""
        mark = self._places.fingerprint(physical(self._gather()), _text(self._arp))
        if mark:
            self._places.remember(mark, word)
        return bool(mark)

    def _note(self, mark: str, word: str) -> None:
        try:
            # The person's own word for a network is not overwritten.
            if self._places.known(mark) not in {"home", "elsewhere"}:
                self._places.remember(mark, word)
        except OSError as error:
            log.warning("this office cannot be remembered: %s", error)

    async def _look(
        self, url: str, among: Sequence[Interface], line: Interface | None
    ) -> Seen:
        if supported() and line is None:
            return Seen("no_network")
        if not url:
            return Seen("not_configured")
        found = await ask_beacon(url, self._ca_file)
        if found is None:
            return Seen("silent")
        site, local = found
        through = [i for i in among if local in i.addresses]
        direct = any(recognise(i) is None for i in through)
        return Seen("inside", site) if direct else Seen("tunnel")


async def ask_beacon(url: str, ca_file: str = "") -> tuple[str, str] | None:
    """(site, the laptop's own address it was reached from), None where no beacon
    answered. Never through a proxy: the proxy is inside, the laptop may not be."""
    import asyncio

    import httpx2

    from probes.publish_https import trust

    try:
        async with (
            asyncio.timeout(BEACON_S),
            httpx2.AsyncClient(
                verify=trust(ca_file), trust_env=False, timeout=BEACON_S
            ) as client,
            client.stream("GET", url) as response,
        ):
            stream = response.extensions["network_stream"]
            local = str(stream.get_extra_info("client_addr")[0])
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
    return beacon.site, local


def _hardware_address(arp: str, address: str) -> str:
    for line in arp.splitlines()[1:]:
        columns = line.split()
        if len(columns) >= 4 and columns[0] == address:
            hardware = columns[3].lower()
            known = re.fullmatch(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", hardware)
            if known and hardware != "00:00:00:00:00:00":
                return hardware
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""

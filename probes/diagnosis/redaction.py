"""Redacts everything personal from the output of system tools. Pure.

Only what is known to be harmless stays: the tools' own labels, numbers with units, and
the words of a fixed list. Every other word becomes as many x, so a parser still finds
the same shape. An address becomes a placeholder of the same kind, the same one each
time. The module never guesses whether a word names a person, a network or a maker.
"""

from __future__ import annotations

import ipaddress
import json
import re

from probes.measure.tunnels import vpn_product
from probes.platforms.system_facts import Interface

# Tools that print `label : value` with fixed labels in the system's language.
_LABELLED = frozenset({"netsh", "get-vpnconnection", "scutil-proxy", "scutil-dns"})
# The value after one of these labels is personal, whatever it looks like.
_SECRET = re.compile(
    r"(?i)ssid|bssid|prof|name|nom\b|user|server|host|dns|suffix|domain|search|"
    r"descri|beschreib|guid|uuid|address|adress|country|land"
)
_SECTIONS = frozenset(
    {
        "wi-fi", "airport", "software versions", "interfaces",
        "current network information", "other local wi-fi networks",
    }
)  # fmt: skip
_HARMLESS = """
    a ac active adapter address admin always an and array assoc associated at dictionary
    managed nameserver resolver short vht
    authenticated authorised authorized auto automatic automatisch automatische ax b
    band bands bcast be beacon bit bitrate blackhole boolean boot both brd bridge
    broadcast bytes cache cap ccmp channel client command connected connection cost
    country credential current data days dbm de default deleted dev dhcp disabled
    disconnected dns down drop dropped dst dynamic eap eht enabled encryption
    enterprise errors ether ethernet expired f failed false fe fixed flags for
    forever fq_codel frame freq from full g gateway gcmp getrennt ghz gi global
    group guard guid hardware he host ht idle ieee if ifname ikev2 in inactive index
    inet inet6 infrastructure infrastruktur interface interfaces interval ip ipv4
    ipv6 k kbit kernel l2tp last lease length level link lladdr local long loopback
    lower_up mbit mbit/s mbps mcast mcs metric mhz mimo mode modes mq mss mtu
    multicast n name network networks no noarp noise none noprefixroute noqueue not
    nss null number of off on open operstate optional other packets path permanent
    personal pfifo_fast phy ping point power ppp preferred_lft prefix primary proto
    protocol psk public pvid qdisc qlen quality rate reachable receive received
    required response retries roaming route router routes running rx sae scope
    secondary security self signal slave snr src ssid stale standard state static
    station status supported switch tap temporary timeout to total transmit true tun
    tunnel tx txqlen type uc ug ugs uh unicast unknown up us usb valid valid_lft
    verbindung verbunden vht via vlan vpn w wi-fi width wifi wired wireless wlan wpa
    wpa2 wpa3 yes
"""
_WORDS = frozenset(_HARMLESS.split())
_INTERFACE = re.compile(
    r"(?:lo|eth|wlan|wwan|ppp|tun|tap|utun|wg|ipsec|awdl|llw|bridge|gif|stf|anpi|ap|en)"
    r"\d{0,3}|(?:en|wl|ww)(?:p\d{1,3})?(?:s\d{1,3})?(?:f\d{1,2})?(?:o\d{1,2})?"
)
_STANDARD = re.compile(r"(?i)802\.1(?:x|1(?:[abgn]|ac|ax|be)?(?:/[abgnx]{1,2})*)")
_MAC = r"(?<![0-9A-Fa-f:-])(?:[0-9A-Fa-f]{1,2}[:-]){5}[0-9A-Fa-f]{1,2}(?![0-9A-Fa-f:-])"
_V6 = r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f.]{0,15}(?:%\w+)?(?![\w:])"
_V4 = r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])"
_TOKEN = re.compile(
    rf"(?P<mac>{_MAC})|(?P<six>{_V6})|(?P<four>{_V4})"
    r"|(?P<word>[^\W_][\w\x80-\xff.@'+/-]*|[\x80-\xff]+)"
)
_NUMBER = re.compile(r"-?\d{1,7}(?:[.,]\d{1,6})?%?|0x[0-9a-f]{1,4}")
# Netmasks and addresses that everybody has.
_COMMON = re.compile(r"0\.0\.0\.0|127\.\d+\.\d+\.\d+|255\.\d+\.\d+\.\d+|224\.\d.*")
_PRIVATE_PREFIXES = (
    ("10.0.0.0/8", "10.0.0."),
    ("172.16.0.0/12", "172.16.0."),
    ("192.168.0.0/16", "192.168.0."),
    ("100.64.0.0/10", "100.64.0."),
    ("169.254.0.0/16", "169.254.0."),
    ("fe80::/10", "fe80::"),
    ("fc00::/7", "fd00::"),
)
_PRIVATE = tuple(
    (ipaddress.ip_network(net), prefix) for net, prefix in _PRIVATE_PREFIXES
)


class Redactor:
    """Redacts the outputs and facts of one bundle, so that an address has the same
    placeholder throughout."""

    def __init__(self) -> None:
        self._placeholders: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._redacted: set[str] = set()

    @property
    def redacted(self) -> set[str]:
        """Names and addresses that must not appear in any file, except those that are
        also the placeholder of another."""
        return self._redacted - set(self._placeholders.values())

    def output(self, tool: str, raw: bytes) -> bytes:
        """`raw` redacted. `tool` is a name that `python -m probes.platforms` lists."""
        wide = b"\0" in raw[:400]
        # Latin-1 maps every byte, so labels in any code page survive the round trip.
        text = raw.decode("utf-16" if wide else "latin-1", "replace")
        try:
            tree = json.loads(text) if text.lstrip()[:1] in ("{", "[") else None
        except (ValueError, RecursionError):
            tree = None
        if tree is not None:
            # Output of `scutil` begins with `{` too but is not JSON.
            redacted = json.dumps(self._tree(tree, ""), indent=1)
        else:
            lines = text.splitlines()
            names = self._network_names(lines)
            redacted = "\n".join(self._line(tool, line, names) for line in lines) + "\n"
        return redacted.encode("utf-8" if wide else "latin-1", "replace")

    def interface(self, facts: Interface) -> dict[str, object]:
        """The facts of an interface, without anything unique to this laptop."""
        product = vpn_product(facts)
        return {
            "name": self._word(facts.name),
            "product": None if product is None else product.name,
            "description": self.words(facts.description),
            "kind": facts.kind,
            "driver": facts.driver
            if re.fullmatch(r"[\w-]{0,24}", facts.driver)
            else "",
            "physical": facts.physical,
            "up": facts.up,
            "routed": facts.routed,
            "default_metric": facts.default_metric,
            "mtu_byte": facts.mtu_byte,
            "speed_bps": facts.speed_bps,
            "addresses": [self.words(text) for text in facts.addresses],
            "networks": [self.words(text) for text in facts.networks],
            "gateway": self.words(facts.gateway),
            "resolvers": [self.words(text) for text in facts.resolvers],
        }

    def words(self, text: str) -> str:
        """Redacts free text, token by token."""
        return _TOKEN.sub(self._token, text)

    def _network_names(self, lines: list[str]) -> frozenset[str]:
        """Network names, from lines labelled as such. They are hidden everywhere."""
        names = set()
        for line in lines:
            match = re.match(
                r"(?i)\s*(?:b?ssid|profile?)\s*:?\s+:?\s*(\S.*?)\s*$", line
            )
            if match:
                names.add(match[1])
        for name in names:
            self._note_redacted(name)
        return frozenset(names)

    def _line(self, tool: str, line: str, network_names: frozenset[str]) -> str:
        label, colon, value = line.partition(":")
        if tool == "system-profiler" and colon and not value.strip():
            # The heading may be the name of a network.
            harmless = label.strip().lower() in _SECTIONS or _INTERFACE.fullmatch(
                label.strip()
            )
            if harmless:
                return line
            self._note_redacted(label)
            return self._hidden(label) + colon
        if not colon or not value.strip():
            return self._words_or_secret(line)
        if value.strip() in network_names:
            value = self._hidden(value)
        elif _SECRET.search(label):
            value = self._secret(value)
        else:
            value = self.words(value)
        if tool not in _LABELLED:
            label = self.words(label)
        return label + colon + value

    def _words_or_secret(self, line: str) -> str:
        """Redacts a line whose label has no colon, such as `ssid Some Name`."""
        match = re.match(r"(?i)(\s*(?:ssid|search|domain|addr|type)\s+)(.*)", line)
        if match and not match[1].strip().lower().startswith("type"):
            return match[1] + self._secret(match[2])
        return self.words(line)

    def _tree(self, tree: object, key: str) -> object:
        if isinstance(tree, dict):
            return {
                name if re.fullmatch(r"[A-Za-z][\w-]{0,60}|_name", name)
                else self._hidden(name): self._tree(value, name)
                for name, value in tree.items()
            }  # fmt: skip
        if isinstance(tree, list):
            return [self._tree(item, key) for item in tree]
        if isinstance(tree, str):
            if key in {"ifname", "InterfaceAlias"}:
                return self._word(tree)
            return self._secret(tree) if _SECRET.search(key) else self.words(tree)
        return tree

    def _secret(self, text: str) -> str:
        """Replaces addresses by placeholders and hides everything else."""
        self._note_redacted(text)
        parts, at = [], 0
        for match in _TOKEN.finditer(text):
            if match.lastgroup != "word":
                parts += [self._hidden(text[at : match.start()]), self._token(match)]
                at = match.end()
        return "".join([*parts, self._hidden(text[at:])])

    def _token(self, match: re.Match[str]) -> str:
        text = match[0]
        if match.lastgroup == "mac":
            separator = "-" if "-" in text else ":"
            return self._placeholder(
                text.lower(), "mac", f"02{separator}00" + f"{separator}00" * 3
            )
        if match.lastgroup in {"four", "six"}:
            return self._address(text)
        return self._word(text)

    def _word(self, text: str) -> str:
        if (
            text.lower() in _WORDS
            or _NUMBER.fullmatch(text)
            or _INTERFACE.fullmatch(text)
            or _STANDARD.fullmatch(text)
            or re.fullmatch(r"(?i)wpa[23]?[-/](personal|enterprise|psk)", text)
        ):
            return text
        # `VHT-MCS`.
        if "-" in text and all(part.lower() in _WORDS for part in text.split("-")):
            return text
        # `700MBit/s`, `3600sec`: a number and its unit.
        measure = re.fullmatch(r"(-?\d{1,7}(?:[.,]\d+)?)([A-Za-z/]{1,6})", text)
        if measure and measure[2].lower() in {
            "mbit/s",
            "mhz",
            "ghz",
            "dbm",
            "sec",
            "ms",
        }:
            return text
        return self._hidden(text)

    def _note_redacted(self, text: str) -> None:
        bare = text.strip()
        if not _NUMBER.fullmatch(bare) and bare.lower() not in _WORDS:
            self._redacted.add(bare)

    def _hidden(self, text: str) -> str:
        return "".join(
            "0" if char.isdigit() else ("X" if char.isupper() else "x")
            if char.isalnum() or char == "_" else char
            for char in text
        )  # fmt: skip

    def _address(self, text: str) -> str:
        bare, percent, zone = text.partition("%")
        try:
            address = ipaddress.ip_address(bare)
        except ValueError:
            return self._hidden(text)
        if _COMMON.fullmatch(bare) or address.is_loopback or address.is_unspecified:
            return text
        if address.is_multicast:
            return text
        prefix = "192.0.2." if address.version == 4 else "2001:db8::"
        for network, private_prefix in _PRIVATE:
            if address in network:
                prefix = private_prefix
        zone = self._word(zone) if zone else ""
        return self._placeholder(str(address), prefix, prefix) + percent + zone

    def _placeholder(self, text: str, kind: str, prefix: str) -> str:
        self._redacted.add(text)
        if text not in self._placeholders:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            if kind == "mac":
                self._placeholders[text] = f"{prefix}{prefix[2]}{number % 256:02x}"
            else:
                ipv6 = ":" in prefix
                self._placeholders[text] = prefix + (
                    f"{number:x}" if ipv6 else str(number % 250)
                )
        return self._placeholders[text]

"""`towpath discover`: what is there, as lines of the estate, and the rest apart."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

import msgspec

from collectors.discovery.address_ranges import Address
from collectors.discovery.found_devices import EstateLines, FoundDevice, fold, lines
from collectors.discovery.sweep import Named, SweepAnswer
from collectors.estate.estate_model import Estate
from collectors.estate.estate_text import comma_separated, toml
from collectors.json_text import json_text
from collectors.snmp.session.credentials import Credential, Credentials, credential

COLUMNS = ("id", "name", "site", "address", "port", "role", "credentials")
# What factories set; asked only where somebody said so.
GUESSES = ("public", "private")
_GUESSED = "guessed"

BySubnet = dict[IPv4Network | IPv6Network, tuple[str, ...]]


class Chosen:
    """Which credentials are tried at an address: those of the most specific subnet
    first, then the others, in their order."""

    def __init__(self, named: Sequence[Named], by_subnet: BySubnet) -> None:
        self._named = list(named)
        self._by_subnet = sorted(
            by_subnet.items(), key=lambda pair: pair[0].prefixlen, reverse=True
        )

    def __call__(self, address: Address) -> list[Named]:
        first = [
            name
            for subnet, names in self._by_subnet
            if subnet.version == address.version and address in subnet
            for name in names
        ]
        order = {name: at for at, name in reversed(list(enumerate(first)))}
        # sorted() keeps the order of equals.
        return sorted(self._named, key=lambda pair: order.get(pair[0], len(first)))


def configured(
    known: Credentials, only: Sequence[str], given: Credential | None, guess: bool
) -> list[Named]:
    """The credentials to try: those of the command line, else all that are configured
    (or `only` those named), and factory settings where they were asked for."""
    named: list[Named] = [("default", given)] if given is not None else []
    if given is None or only:
        named += [(name, known.get(name)) for name in only or known]
    if guess:
        named += [
            (f"{_GUESSED}-{community}", credential(community, {"community": community}))
            for community in GUESSES
        ]
    return named


class DiscoveryReport:
    """All answers, and what to say of them."""

    def __init__(self, estate: Estate, port: int, site: str) -> None:
        self._estate, self._port, self._site = estate, port, site
        self.answers: list[SweepAnswer] = []

    def add(self, answer: SweepAnswer) -> None:
        self.answers.append(answer)

    def lines(self) -> EstateLines:
        used = [str(device.address) for device in self._estate.devices]
        return lines(fold(self.answers, used), self._estate, self._port, self._site)

    def strangers(self) -> list[SweepAnswer]:
        """An agent answers, but no credential fits."""
        return [a for a in self.answers if a.speaks and a.credential is None]

    def mute(self) -> list[SweepAnswer]:
        """Something answers echoes, and no agent."""
        return [
            a for a in self.answers if a.icmp and not a.speaks and a.credential is None
        ]

    def summary(self, total: int, found: EstateLines) -> list[str]:
        """Sentences for a person, most useful first."""
        asked = len(self.answers)
        said = [f"{asked} of {total} addresses asked" + _stop(asked, total)]
        said.append(
            f"{len(found.entries)} new devices, {len(found.known)} that the estate has"
        )
        for entry in found.homeless:
            said.append(
                f"{entry['address']} ({entry['id']}) wants a site: "
                f"{found.notes[entry['id']]}; give the sites subnets, locations or "
                "names, or --site"
            )
        said += _listed(
            "an SNMP agent answers, but no credential fits", self.strangers()
        )
        said += _listed("answers echoes, but no SNMP", self.mute())
        silent = sum(each.silent for each in self.answers)
        said.append(f"{silent} addresses are silent")
        if any(each.icmp is None for each in self.answers):
            said.append(
                "echoes could not be sent (this process may not: see "
                "net.ipv4.ping_group_range), so what has no agent was not seen"
            )
        return said


def as_toml(found: EstateLines) -> str:
    """Tables to put behind the estate; those without a site as comments."""
    text = toml("devices", found.entries, found.notes)
    homeless = toml("devices", found.homeless, found.notes)
    commented = "".join(f"# {line}".rstrip() + "\n" for line in homeless.splitlines())
    return "\n".join(part for part in (text, commented) if part)


def as_csv(found: EstateLines) -> str:
    return comma_separated([*found.entries, *found.homeless], COLUMNS)


def as_json(report: DiscoveryReport, found: EstateLines) -> str:
    """One object: devices to add, known ones, and who was there besides."""

    def shown(each: FoundDevice) -> dict[str, Any]:
        identity = each.best.identity
        return {
            "addresses": each.addresses,
            "credentials": each.best.credential,
            "engine_id": each.best.engine_id or None,
            "identity": msgspec.structs.asdict(identity) if identity else None,
        }

    return json_text(
        {
            "devices": [*found.entries, *found.homeless],
            "known": [{"id": id, **shown(each)} for id, each in found.known],
            "no_credential_fits": [each.address for each in report.strangers()],
            "icmp_only": [each.address for each in report.mute()],
            "asked": len(report.answers),
        },
        indent=2,
    )


def _stop(asked: int, total: int) -> str:
    return "" if asked == total else ", then it was stopped"


def _listed(what: str, answers: Sequence[SweepAnswer], most: int = 20) -> list[str]:
    if not answers:
        return []
    order = sorted(answers, key=lambda each: ip_address(each.address).packed)
    names = [each.address for each in order[:most]]
    more = f" and {len(answers) - most} more" if len(answers) > most else ""
    return [f"{what}: {', '.join(names)}{more}"]

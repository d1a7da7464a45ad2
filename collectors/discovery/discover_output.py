"""Output of `towpath discover`: estate entries as TOML, CSV or JSON, and a summary."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

import msgspec

from collectors.discovery.address_ranges import Address
from collectors.discovery.found_devices import (
    EstateLines,
    FoundDevice,
    estate_lines,
    group_answers,
)
from collectors.discovery.sweep import NamedCredential, SweepAnswer
from collectors.estate.estate_model import Estate
from collectors.estate.estate_text import comma_separated, toml
from collectors.few_names import few_names
from collectors.json_text import json_text
from collectors.snmp.session.credentials import Credential, Credentials, credential
from probes.wire.counted_text import counted

COLUMNS = ("id", "name", "site", "address", "port", "role", "credentials")
# Factory settings, tried only on request.
GUESSES = ("public", "private")
_GUESSED = "guessed"

BySubnet = dict[IPv4Network | IPv6Network, tuple[str, ...]]


class CredentialOrder:
    """The order of credentials for an address: those of the most specific subnet first,
    then the others in the given order."""

    def __init__(
        self, credentials: Sequence[NamedCredential], by_subnet: BySubnet
    ) -> None:
        self._credentials = list(credentials)
        self._by_subnet = sorted(
            by_subnet.items(), key=lambda pair: pair[0].prefixlen, reverse=True
        )

    def __call__(self, address: Address) -> list[NamedCredential]:
        first = [
            name
            for subnet, names in self._by_subnet
            if address in subnet
            for name in names
        ]
        order = {name: at for at, name in reversed(list(enumerate(first)))}
        # sorted() is stable, so the others keep their order.
        return sorted(
            self._credentials, key=lambda pair: order.get(pair[0], len(first))
        )


def credentials_to_try(
    known: Credentials, only: Sequence[str], given: Credential | None, guess: bool
) -> list[NamedCredential]:
    """Return the credentials to try: the one `given` on the command line, or else all
    configured ones (or `only` those named); with `guess`, also factory settings."""
    credentials: list[NamedCredential] = (
        [("default", given)] if given is not None else []
    )
    if given is None or only:
        credentials += [(name, known.get(name)) for name in only or known]
    if guess:
        credentials += [
            (f"{_GUESSED}-{community}", credential(community, {"community": community}))
            for community in GUESSES
        ]
    return credentials


class DiscoveryReport:
    """Collects the answers, and sums them up."""

    def __init__(self, estate: Estate, port: int, site: str) -> None:
        self._estate, self._port, self._site = estate, port, site
        self.answers: list[SweepAnswer] = []

    def add(self, answer: SweepAnswer) -> None:
        self.answers.append(answer)

    def estate_lines(self) -> EstateLines:
        used = [str(device.address) for device in self._estate.devices]
        return estate_lines(
            group_answers(self.answers, used), self._estate, self._port, self._site
        )

    def without_credential(self) -> list[SweepAnswer]:
        """Return the answers of agents that no credential fits."""
        return [a for a in self.answers if a.has_agent and a.credential is None]

    def icmp_only(self) -> list[SweepAnswer]:
        """Return the answers of addresses that answer pings and not SNMP."""
        return [
            a
            for a in self.answers
            if a.icmp and not a.has_agent and a.credential is None
        ]

    def summary(self, total: int, entries: EstateLines) -> list[str]:
        """Return sentences that sum up the answers, the most useful first."""
        queried = len(self.answers)
        sentences = [
            f"{queried:,} of {counted(total, 'address', 'addresses')} queried"
            + _stopped_note(queried, total),
            f"{counted(len(entries.entries), 'new device')}, "
            f"{len(entries.known):,} already in the estate",
        ]
        for entry in entries.without_site:
            notes = "; ".join(entries.notes[entry["id"]])
            sentences.append(
                f"{entry['address']} ({entry['id']}) has no site: {notes}; give the "
                "sites subnets, locations or names, or --site"
            )
        sentences += _list_addresses(
            "an SNMP agent answers, but no credential fits", self.without_credential()
        )
        sentences += self._refusals()
        sentences += _list_addresses(
            "answers pings, but not SNMP (no agent, a wrong community and an access "
            "list look the same)",
            self.icmp_only(),
        )
        silent = sum(answer.is_silent for answer in self.answers)
        if silent:
            sentences.append(
                counted(silent, "address is silent", "addresses are silent")
                + " (a wrong community, an access list and nothing there look the same)"
            )
        if any(answer.icmp is None for answer in self.answers):
            sentences.append(
                "pings could not be sent (this process has no permission: see "
                "net.ipv4.ping_group_range), so devices without SNMP were not found"
            )
        return sentences

    def _refusals(self) -> list[str]:
        """Return why the credentials do not fit, each reason once."""
        by_reason: dict[str, list[SweepAnswer]] = {}
        for answer in self.without_credential():
            for name, reason in answer.refusals.items():
                by_reason.setdefault(f"credential {name!r}: {reason}", []).append(
                    answer
                )
        return [
            sentence
            for reason, answers in by_reason.items()
            for sentence in _list_addresses(reason, answers)
        ]


def as_toml(entries: EstateLines) -> str:
    """Return tables to append to the estate; devices without a site as comments."""
    text = toml("devices", entries.entries, entries.notes)
    without_site = toml("devices", entries.without_site, entries.notes)
    commented = "".join(
        f"# {line}".rstrip() + "\n" for line in without_site.splitlines()
    )
    return "\n".join(part for part in (text, commented) if part)


def as_csv(entries: EstateLines) -> str:
    return comma_separated([*entries.entries, *entries.without_site], COLUMNS)


def as_json(report: DiscoveryReport, entries: EstateLines) -> str:
    """Return one JSON object: devices to add, known devices, and other addresses."""

    def to_object(device: FoundDevice) -> dict[str, Any]:
        identity = device.best.identity
        return {
            "addresses": device.addresses,
            "credentials": device.best.credential,
            "engine_id": device.best.engine_id or None,
            "identity": msgspec.structs.asdict(identity) if identity else None,
        }

    return json_text(
        {
            "devices": [*entries.entries, *entries.without_site],
            "known": [{"id": id, **to_object(device)} for id, device in entries.known],
            "no_credential_fits": [
                answer.address for answer in report.without_credential()
            ],
            "refusals": {
                answer.address: answer.refusals
                for answer in report.without_credential()
            },
            "icmp_only": [answer.address for answer in report.icmp_only()],
            "asked": len(report.answers),
        },
        indent=2,
    )


def _stopped_note(queried: int, total: int) -> str:
    return "" if queried == total else ", then stopped"


def _list_addresses(
    title: str, answers: Sequence[SweepAnswer], limit: int = 20
) -> list[str]:
    if not answers:
        return []
    order = sorted(answers, key=lambda answer: ip_address(answer.address).packed)
    return [f"{title}: {few_names([answer.address for answer in order], limit)}"]

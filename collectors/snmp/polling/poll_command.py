"""`towpath poll`: one device as tables, or many devices as JSON."""

from __future__ import annotations

import asyncio
import csv
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from collectors.json_text import json_text
from collectors.snmp.polling.device_facts import HostTarget, poll_once, poll_targets
from collectors.snmp.polling.facts_json import facts_json
from collectors.snmp.polling.poll_output import print_facts
from collectors.snmp.profiles import Profiles
from collectors.snmp.session.credentials import Credential, CredentialError, credential
from collectors.snmp.session.session import RetryPolicy
from collectors.terminal_tables import output_console

_COLUMNS = ("name", "address", "port", "version", "community")


class WrongTarget(ValueError):
    """A host or a line of the targets file is wrong; the text is one sentence."""


def parse_host_port(text: str) -> tuple[str, int]:
    """`HOST[:PORT]` as (host, port); `[2001:db8::1]:161` for IPv6 with a port."""
    host, port = text, "161"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise WrongTarget(f"{text!r} is not HOST[:PORT] with a port from 1 to 65535")
    return host, int(port)


def resolve_address(host: str, port: int) -> str:
    """The first address of `host` as an IP literal, which SNMP sessions need."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise WrongTarget(f"{host}: {error.strerror or 'no such name'}") from None
    return str(addresses[0][4][0])


def credential_from_options(options: Mapping[str, str | None]) -> Credential:
    """The credential of the command line's options; without any, `public` in v2c.

    `options` has the keys of a credential: version, community, user, auth, …
    """
    given = {key: value for key, value in options.items() if value is not None}
    if "user" not in given and "community" not in given:
        if given.get("version") in ("3", "v3"):
            raise CredentialError("version 3 needs a user")
        given["community"] = "public"
    return credential("on the command line", given)


def read_targets(path: Path) -> list[HostTarget]:
    """The targets in a CSV file: name, address, port, version, community."""
    targets = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = {"name", "address"} - set(reader.fieldnames or ())
            if missing:
                raise WrongTarget(
                    f"{path}: no column {', '.join(sorted(missing))}; expected "
                    f"{','.join(_COLUMNS)}"
                )
            for line in reader:
                targets.append(_target(f"{path}:{reader.line_num}", line))
    except OSError as error:
        raise WrongTarget(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongTarget(f"{path}: not UTF-8") from None
    return targets


def _target(location: str, line: Mapping[str, str | None]) -> HostTarget:
    port = line.get("port") or "161"
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise WrongTarget(f"{location}: port {port!r} is not from 1 to 65535")
    name, address = line.get("name") or "", line.get("address") or ""
    if not address:
        raise WrongTarget(f"{location}: no address")
    try:
        target_credential = credential(
            name,
            {
                "version": line.get("version") or "2c",
                "community": line.get("community") or "public",
            },
        )
    except CredentialError as error:
        raise WrongTarget(f"{location}: {error}") from None
    return HostTarget(
        name or address,
        resolve_address(address, int(port)),
        int(port),
        target_credential,
    )


def poll_host(
    host: str,
    credential: Credential,
    *,
    as_json: bool = False,
    timeout_s: float = 1.0,
    tries: int = 3,
    profiles: Profiles | None = None,
    out: Callable[[str], None] = print,
    console: Console | None = None,
) -> int:
    """Runs `towpath poll HOST`; returns 0 if the device answered, else 1."""
    name, port = parse_host_port(host)
    address = resolve_address(name, port)
    facts = asyncio.run(
        poll_once(
            address,
            port,
            credential,
            name=name,
            retry_policy=RetryPolicy.with_backoff(timeout_s, tries),
            profiles=profiles,
        )
    )
    if as_json:
        out(json_text(facts_json(facts), indent=2))
    else:
        print_facts(facts, console or output_console())
    return 0 if facts.ok else 1


def poll_file(
    path: Path,
    *,
    at_once: int = 32,
    timeout_s: float = 1.0,
    tries: int = 3,
    profiles: Profiles | None = None,
    out: Callable[[str], None] = print,
) -> int:
    """Runs `towpath poll --targets FILE.csv --jsonl`.

    Prints one line per device, as each poll ends. Returns 0 if all answered, else 1.
    """
    targets = read_targets(path)
    failed = asyncio.run(
        poll_targets(
            targets,
            lambda facts: out(json_text(facts_json(facts))),
            at_once,
            RetryPolicy.with_backoff(timeout_s, tries),
            profiles=profiles,
        )
    )
    return 0 if failed == 0 else 1

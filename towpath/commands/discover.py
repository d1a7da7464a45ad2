"""`towpath discover`: finds devices in networks and prints estate entries for them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from towpath.commands.option_groups import CredentialOptions, expand_options
from towpath.commands.shared import (
    OptionalConfig,
    more_than_zero,
    read_config,
    run_async,
    usage_error,
)

if TYPE_CHECKING:
    from collectors.discovery.address_ranges import Address
    from collectors.discovery.discover_output import CredentialOrder, DiscoveryReport
    from collectors.discovery.found_devices import EstateLines
    from collectors.discovery.sweep import NamedCredential
    from towpath.config import TowpathConfig


@dataclass(frozen=True)
class _DiscoverAddresses:
    addresses_in: Annotated[
        Path | None, typer.Option("--list", help="file with one of these on each line")
    ] = None
    most: Annotated[int, typer.Option(help="maximum number of addresses")] = 65_536


@dataclass(frozen=True)
class _DiscoverCredentials(CredentialOptions):
    credentials: Annotated[
        list[str] | None,
        typer.Option(help="name of a configured credential to try; default: all"),
    ] = None
    guess: Annotated[
        bool, typer.Option("--guess", help="also try the communities public, private")
    ] = False

    def given(self) -> dict[str, str]:
        given = super().given()
        return {k: v for k, v in given.items() if k not in ("credentials", "guess")}


@dataclass(frozen=True)
class _DiscoverPace:
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="PORT")] = 161
    per_second: Annotated[
        float, typer.Option(min=1, metavar="N", help="packets a second")
    ] = 50
    at_once: Annotated[
        int, typer.Option(min=1, metavar="N", help="addresses at once")
    ] = 64
    timeout: Annotated[
        float,
        typer.Option(callback=more_than_zero, help="seconds to wait for an answer"),
    ] = 1.0


@dataclass(frozen=True)
class _DiscoverOutput:
    csv: Annotated[bool, typer.Option("--csv", help="CSV instead of TOML")] = False
    json: Annotated[bool, typer.Option("--json", help="JSON instead of TOML")] = False
    out: Annotated[Path | None, typer.Option(help="file to write")] = None


@expand_options
def discover(
    address: _DiscoverAddresses,
    credential: _DiscoverCredentials,
    sweep: _DiscoverPace,
    output: _DiscoverOutput,
    networks: Annotated[
        list[str] | None,
        typer.Argument(metavar="CIDR…", help="10.1.0.0/24, 10.1.0.5, a range, fd00::5"),
    ] = None,
    config: OptionalConfig = None,
    site: Annotated[str, typer.Option(help="site of devices that no rule places")] = "",
) -> None:
    """Find devices in networks, at a gentle pace, and print estate entries for them."""
    from collectors.discovery import discover_output
    from collectors.estate import Estate, EstateError, known_names, load
    from towpath.log_setup import LogConfig, configure

    configure(LogConfig())
    settings = None if config is None else read_config(config)
    targets = _read_targets(networks or [], address)
    try:
        estate = Estate() if settings is None else load(settings.estate)
    except EstateError as error:
        usage_error(error.findings)
    except OSError as error:
        usage_error([f"{error.filename}: {error.strerror}"])
    to_try = _read_credentials(settings, credential)
    if site and (unknown := known_names.unknown_name_text(estate, "site", site)):
        usage_error([unknown])
    if credential.guess:
        typer.echo(
            "also trying the communities "
            f"{' and '.join(discover_output.GUESSES)} (v2c, in clear text) "
            "if nothing else fits",
            err=True,
        )
    by_subnet = {} if settings is None else settings.snmp.credentials_by_subnet
    order = discover_output.CredentialOrder(to_try, by_subnet)
    report = discover_output.DiscoveryReport(estate, sweep.port, site)
    stopped = _run_sweep(sweep, targets, order, report)
    entries = report.estate_lines()
    _write(report, entries, output)
    for sentence in report.summary(len(targets), entries):
        typer.echo(sentence, err=True)
    if stopped:
        raise typer.Exit(130)
    anything = entries.entries or entries.without_site or entries.known
    raise typer.Exit(0 if anything else 1)


def _read_targets(networks: list[str], options: _DiscoverAddresses) -> list[Address]:
    from collectors.discovery.address_ranges import (
        InvalidNetwork,
        parse_addresses,
        shuffle,
    )

    texts = list(networks)
    try:
        if options.addresses_in is not None:
            texts += options.addresses_in.read_text(encoding="utf-8").split()
        if not texts:
            usage_error(
                ["towpath discover needs a network such as 10.1.0.0/24, or --list"]
            )
        return shuffle(parse_addresses(texts, options.most))
    except OSError as error:
        usage_error([f"{error.filename}: {error.strerror}"])
    except (InvalidNetwork, UnicodeDecodeError) as error:
        usage_error([str(error)])


def _read_credentials(
    settings: TowpathConfig | None, options: _DiscoverCredentials
) -> list[NamedCredential]:
    from collectors.discovery.discover_output import credentials_to_try
    from collectors.snmp import CredentialError, Credentials, credential

    given = options.given()
    try:
        to_try = credentials_to_try(
            Credentials.read(
                None if settings is None else settings.snmp.credentials_file
            ),
            options.credentials or [],
            credential("of the command line", given) if given else None,
            options.guess,
        )
    except OSError as error:
        usage_error([f"{error.filename}: {error.strerror}"])
    except (CredentialError, UnicodeDecodeError) as error:
        usage_error([str(error)])
    if not to_try:
        usage_error(
            [
                "there is no credential to try: name a credentials file in the "
                "settings (-c), give --community or --user, or --guess"
            ]
        )
    return to_try


def _run_sweep(
    options: _DiscoverPace,
    targets: list[Address],
    order: CredentialOrder,
    report: DiscoveryReport,
) -> bool:
    """Query all targets; return True if it was interrupted."""
    from rich.console import Console
    from rich.progress import Progress

    from collectors.discovery.sweep import SweepAnswer, SweepSettings, sweep

    settings = SweepSettings(
        options.port, options.per_second, options.at_once, options.timeout
    )
    # A progress bar only on a terminal, and on stderr.
    bar = Console(stderr=True)
    with Progress(console=bar, disable=not bar.is_terminal, transient=True) as progress:
        task = progress.add_task("discovering", total=len(targets))

        def add(answer: SweepAnswer) -> None:
            report.add(answer)
            progress.advance(task)

        try:
            run_async(sweep(settings, targets, order, add))
        except KeyboardInterrupt:
            return True
    return False


def _write(
    report: DiscoveryReport, entries: EstateLines, output: _DiscoverOutput
) -> None:
    from collectors.discovery.discover_output import as_csv, as_json, as_toml

    if output.json:
        text = as_json(report, entries) + "\n"
    else:
        text = as_csv(entries) if output.csv else as_toml(entries)
    if output.out is None:
        sys.stdout.write(text)
    else:
        output.out.write_text(text, encoding="utf-8")

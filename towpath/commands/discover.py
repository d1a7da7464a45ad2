"""`towpath discover`: what answers in networks, as lines of the estate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from towpath.commands.shared import OptionalConfig, read_config, run_loop, wrong


def discover(
    networks: Annotated[
        list[str] | None,
        typer.Argument(metavar="CIDR…", help="10.1.0.0/24, 10.1.0.5, a range, fd00::5"),
    ] = None,
    config: OptionalConfig = None,
    addresses_in: Annotated[
        Path | None, typer.Option("--list", help="a file with one of these a line")
    ] = None,
    community: Annotated[str | None, typer.Option(help="SNMP v2c")] = None,
    version: Annotated[str | None, typer.Option("--version", help="1, 2c or 3")] = None,
    user: Annotated[str | None, typer.Option(help="SNMPv3 user")] = None,
    auth: Annotated[str | None, typer.Option(help="sha256 (default), sha512 …")] = None,
    auth_password: Annotated[
        str | None, typer.Option(envvar="TOWPATH_SNMP_AUTH_PASSWORD")
    ] = None,
    priv: Annotated[str | None, typer.Option(help="aes128 (default), aes256 …")] = None,
    priv_password: Annotated[
        str | None, typer.Option(envvar="TOWPATH_SNMP_PRIV_PASSWORD")
    ] = None,
    credentials: Annotated[
        list[str] | None,
        typer.Option(help="name of a configured credential to try; default: all"),
    ] = None,
    guess: Annotated[
        bool, typer.Option("--guess", help="also try the communities public, private")
    ] = False,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 161,
    site: Annotated[str, typer.Option(help="for devices that no rule places")] = "",
    per_second: Annotated[float, typer.Option(min=1, help="packets a second")] = 50,
    at_once: Annotated[int, typer.Option(min=1, help="addresses at once")] = 64,
    timeout: Annotated[float, typer.Option(help="seconds for an answer")] = 1.0,
    most: Annotated[int, typer.Option(help="addresses at most")] = 65_536,
    csv: Annotated[bool, typer.Option("--csv", help="CSV instead of TOML")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON instead of TOML")] = False,
    out: Annotated[Path | None, typer.Option(help="file to write")] = None,
) -> None:
    """Find devices in networks, politely, and print lines for the estate."""
    from rich.console import Console
    from rich.progress import Progress

    from collectors.discovery import discover_output
    from collectors.discovery.address_ranges import WrongNetwork, addresses, spread
    from collectors.discovery.sweep import Sweep, SweepAnswer, sweep
    from collectors.estate import Estate, EstateError, known_names, load
    from collectors.snmp import CredentialError, Credentials, credential
    from towpath.log_setup import LogConfig, configure

    configure(LogConfig())
    settings = None if config is None else read_config(config)
    options = {
        "version": version,
        "community": community,
        "user": user,
        "auth": auth,
        "auth_password": auth_password if user else None,
        "priv": priv,
        "priv_password": priv_password if user else None,
    }
    try:
        said = list(networks or [])
        if addresses_in is not None:
            said += addresses_in.read_text(encoding="utf-8").split()
        if not said:
            wrong(["towpath discover needs a network such as 10.1.0.0/24, or --list"])
        targets = spread(addresses(said, most))
        estate = Estate() if settings is None else load(settings.estate)
        given = {key: value for key, value in options.items() if value is not None}
        asked = discover_output.configured(
            Credentials.read(
                None if settings is None else settings.snmp.credentials_file
            ),
            credentials or [],
            credential("of the command line", given) if given else None,
            guess,
        )
    except EstateError as error:
        wrong(error.findings)
    except OSError as error:
        wrong([f"{error.filename}: {error.strerror}"])
    except (WrongNetwork, CredentialError, UnicodeDecodeError) as error:
        wrong([str(error)])
    if site and (unknown := known_names.unknown(estate, "site", site)):
        wrong([unknown])
    if not asked:
        wrong(
            [
                "there is no credential to try: name a credentials file in the "
                "settings (-c), give --community or --user, or --guess"
            ]
        )
    if guess:
        typer.echo(
            "also trying the communities "
            f"{' and '.join(discover_output.GUESSES)} (v2c, in clear text) "
            "wherever nothing else fits",
            err=True,
        )
    by_subnet = {} if settings is None else settings.snmp.credentials_by_subnet
    report = discover_output.DiscoveryReport(estate, port, site)
    how = Sweep(port, per_second, at_once, timeout)
    stopped = False
    # A bar only where somebody looks, and never among the lines.
    bar = Console(stderr=True)
    with Progress(console=bar, disable=not bar.is_terminal, transient=True) as progress:
        task = progress.add_task("asking", total=len(targets))

        def done(answer: SweepAnswer) -> None:
            report.add(answer)
            progress.advance(task)

        try:
            run_loop(
                sweep(how, targets, discover_output.Chosen(asked, by_subnet), done)
            )
        except KeyboardInterrupt:
            stopped = True
    found = report.lines()
    if json:
        text = discover_output.as_json(report, found) + "\n"
    else:
        text = discover_output.as_csv(found) if csv else discover_output.as_toml(found)
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")
    for sentence in report.summary(len(targets), found):
        typer.echo(sentence, err=True)
    anything = found.entries or found.homeless or found.known
    if stopped:
        raise typer.Exit(130)
    raise typer.Exit(0 if anything else 1)

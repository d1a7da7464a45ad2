"""`towpath compare`: lists what another monitor or Towpath is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probes.wire.clock import wall_ms
from towpath.commands import compare_calls
from towpath.commands.shared import ConfigFile, exit_with, fail, read_config, run_async
from towpath.commands.shared import usage_error as refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from collectors.comparing.compared_device import ComparedDevice
    from collectors.comparing.differences import Comparison
    from collectors.estate import Device
    from towpath.config import TowpathConfig

app = typer.Typer(
    no_args_is_help=True,
    help="Compare with another monitor, or test calls with Microsoft's record.",
)
compare_calls.add_commands(app)


@app.command()
def librenms(
    config: ConfigFile,
    url: Annotated[str, typer.Option("--url", help="https://librenms.example.org")],
    token_file: Annotated[
        Path, typer.Option("--token-file", help="file whose first line is the token")
    ],
    live: Annotated[
        bool, typer.Option("--live", help="poll the devices now instead of the store")
    ] = False,
    site: Annotated[str, typer.Option(help="estate id of one site")] = "",
    ca_file: Annotated[
        Path | None, typer.Option(help="certificate authorities to trust, PEM")
    ] = None,
    details: Annotated[
        bool, typer.Option("--details", help="list each device, port and sensor")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> None:
    """Sum up which devices, ports and sensors LibreNMS or Towpath is missing; exit with
    code 1 if there are any."""
    from rich.console import Console
    from rich.progress import Progress

    from collectors.comparing import compare_output, differences, librenms_side
    from collectors.estate import EstateError, known_names, load
    from collectors.importing.librenms import headers
    from collectors.importing.rest_client import RestClient, SourceError, read_token
    from collectors.snmp import CredentialError
    from collectors.store import Away, QueryFailed
    from collectors.terminal_tables import output_console

    settings = read_config(config)
    try:
        estate = load(settings.estate)
    except EstateError as error:
        refuse(error.findings)
    if site and (unknown := known_names.unknown_name_text(estate, "site", site)):
        refuse([unknown])
    polled = [d for d in estate.devices if d.poll]

    async def run_comparison() -> Comparison:
        async with RestClient("LibreNMS", url, headers(token), ca_file) as api:
            others = await librenms_side.fetch_devices(api)
            matched, only_here, only_there = differences.match_devices(polled, others)
            if site:
                matched = [pair for pair in matched if pair[0].site == site]
                only_here = [device for device in only_here if device.site == site]
                # The site of a device that only LibreNMS has is not known.
                only_there = []
            ours = [device for device, _ in matched]
            # A progress bar only on a terminal, and on stderr.
            bar = Console(stderr=True)
            with Progress(
                console=bar, disable=not bar.is_terminal, transient=True
            ) as progress:
                work = len(matched) * (2 if live else 1)
                task = progress.add_task("comparing", total=work)

                def done() -> None:
                    progress.advance(task)

                there = await librenms_side.fetch_contents(
                    api, [o for _, o in matched], done
                )
                here = await (
                    _poll(settings, ours, done) if live else _read_stored(settings)
                )
        return differences.compare(matched, only_here, only_there, here, there)

    try:
        token = read_token(token_file)
        comparison = run_async(run_comparison())
    except CredentialError as error:
        refuse([str(error)])
    except SourceError as error:
        fail(str(error))
    except (Away, QueryFailed, OSError, ValueError) as error:
        fail(f"the store does not answer: {error}")
    if json:
        typer.echo(compare_output.as_json(comparison, "LibreNMS"))
    else:
        compare_output.show(comparison, "LibreNMS", output_console(), details)
    exit_with(0 if comparison.same else 1)


async def _read_stored(settings: TowpathConfig) -> dict[str, ComparedDevice]:
    """Read the last hour of all devices from the store."""
    from collectors.comparing.compared_device import HOUR_MS, from_store, store_queries
    from collectors.server_measurements import CATALOGUE
    from collectors.store import open_store

    now = wall_ms()
    async with open_store(settings.store, CATALOGUE) as store:
        rows = [await store.query(query) for query in store_queries(now - HOUR_MS, now)]
    return from_store(*rows)


async def _poll(
    settings: TowpathConfig, devices: Sequence[Device], done: Callable[[], None]
) -> dict[str, ComparedDevice]:
    """Poll the devices; those that do not answer are left out."""
    from collectors.comparing.compared_device import from_facts
    from collectors.snmp import Credentials
    from collectors.snmp.polling.credential_choice import credential_names
    from collectors.snmp.polling.device_facts import (
        DeviceFacts,
        HostTarget,
        poll_targets,
    )

    credentials = Credentials.read(settings.snmp.credentials_file)
    targets = []
    for device in devices:
        names = credential_names(
            device.credentials, device.address, settings.snmp.credentials_by_subnet
        )
        # A name without a credential fails in `get` with the right message.
        name = next((name for name in names if name in credentials), names[0])
        credential = credentials.get(name)
        targets.append(
            HostTarget(device.id, str(device.address), device.port, credential)
        )
    polled: dict[str, ComparedDevice] = {}

    def add_device(facts: DeviceFacts) -> None:
        if facts.ok:
            polled[facts.name] = from_facts(facts)
        done()

    await poll_targets(targets, add_device)
    return polled

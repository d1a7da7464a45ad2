"""`towpath compare`: what another monitor has and Towpath lacks, and the other way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probes.wire.clock import wall_ms
from towpath.commands.shared import ConfigFile, end, fail, read_config, run_loop
from towpath.commands.shared import wrong as refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from collectors.comparing.differences import Comparison
    from collectors.comparing.side import ComparedDevice
    from collectors.estate import Device
    from towpath.config import TowpathConfig

app = typer.Typer(
    no_args_is_help=True, help="Side by side with another monitor of the same devices."
)


@app.command()
def librenms(
    config: ConfigFile,
    url: Annotated[str, typer.Option("--url", help="https://librenms.example.org")],
    token_file: Annotated[
        Path, typer.Option("--token-file", help="file whose first line is the token")
    ],
    live: Annotated[
        bool, typer.Option("--live", help="poll the devices now, not from the store")
    ] = False,
    site: Annotated[str, typer.Option(help="estate id of one site")] = "",
    ca_file: Annotated[Path | None, typer.Option(help="authorities, PEM")] = None,
    json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> None:
    """List devices, ports and sensors that LibreNMS or Towpath lacks; exit code 1
    where they differ."""
    from rich.console import Console
    from rich.progress import Progress

    from collectors.comparing import compare_output, librenms_side
    from collectors.comparing import differences as comparing
    from collectors.estate import EstateError, known_names, load
    from collectors.importing.librenms import headers
    from collectors.importing.rest_client import Api, Trouble, token_in
    from collectors.snmp import CredentialError
    from collectors.store import Away, Unanswered

    settings = read_config(config)
    try:
        estate = load(settings.estate)
    except EstateError as error:
        refuse(error.findings)
    if site and (unknown := known_names.unknown(estate, "site", site)):
        refuse([unknown])
    polled = [d for d in estate.devices if d.poll]

    async def compared() -> Comparison:
        async with Api("LibreNMS", url, headers(token), ca_file) as api:
            others = await librenms_side.devices(api)
            matched, lonely, strangers = comparing.pair(polled, others)
            if site:
                matched = [each for each in matched if each[0].site == site]
                lonely = [each for each in lonely if each.site == site]
                # Whom nobody here knows belongs to no site.
                strangers = []
            ours = [device for device, _ in matched]
            # A bar only where somebody looks, and never among the tables.
            bar = Console(stderr=True)
            with Progress(
                console=bar, disable=not bar.is_terminal, transient=True
            ) as progress:
                work = len(matched) * (2 if live else 1)
                task = progress.add_task("comparing", total=work)

                def done() -> None:
                    progress.advance(task)

                there = await librenms_side.seen(api, [o for _, o in matched], done)
                here = await (
                    _polled(settings, ours, done) if live else _stored(settings)
                )
        return comparing.compare(matched, lonely, strangers, here, there)

    try:
        token = token_in(token_file)
        found = run_loop(compared())
    except CredentialError as error:
        refuse([str(error)])
    except Trouble as trouble:
        fail(str(trouble))
    except (Away, Unanswered, OSError, ValueError) as error:
        fail(f"the store gave no answer: {error}")
    if json:
        typer.echo(compare_output.as_json(found, "LibreNMS"))
    else:
        compare_output.show(found, "LibreNMS", Console())
    end(0 if found.same else 1)


async def _stored(settings: TowpathConfig) -> dict[str, ComparedDevice]:
    """What the store has of the last hour."""
    from collectors.comparing.side import HOUR_MS, from_store, questions
    from collectors.server_measurements import CATALOGUE
    from collectors.store import open_store

    now = wall_ms()
    async with open_store(settings.store, CATALOGUE) as store:
        answers = [await store.ask(each) for each in questions(now - HOUR_MS, now)]
    return from_store(*answers)


async def _polled(
    settings: TowpathConfig, devices: Sequence[Device], done: Callable[[], None]
) -> dict[str, ComparedDevice]:
    """What the devices say now."""
    from collectors.comparing.side import from_facts
    from collectors.snmp import Credentials
    from collectors.snmp.polling.credential_choice import names_of
    from collectors.snmp.polling.device_facts import (
        DeviceFacts,
        HostTarget,
        poll_targets,
    )

    credentials = Credentials.read(settings.snmp.credentials_file)
    targets = []
    for device in devices:
        known_names = names_of(
            device.credentials, device.address, settings.snmp.credentials_by_subnet
        )
        held = [name for name in known_names if name in credentials] or [known_names[0]]
        credential = credentials.get(held[0])
        targets.append(
            HostTarget(device.id, str(device.address), device.port, credential)
        )
    found: dict[str, ComparedDevice] = {}

    def ended(facts: DeviceFacts) -> None:
        if facts.ok:
            found[facts.name] = from_facts(facts)
        done()

    await poll_targets(targets, ended)
    return found

"""`towpath fleet export`, `erase` and `rotate-key`: what data protection asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probes.wire.clock import wall_ms
from probes.wire.counted_text import counted
from towpath.commands.fleet_registry import (
    AgentOrSerial,
    Serial,
    current_laptop,
    need_one,
    open_registry,
    registry_of,
)
from towpath.commands.shared import (
    ConfigFile,
    fail,
    read_config,
    run_async,
    user_name,
)
from towpath.error_sentences import sentence_of

if TYPE_CHECKING:
    from collectors.personal_readers import Record
    from towpath.config import TowpathConfig


def add_commands(app: typer.Typer) -> None:
    """Adds these commands to `towpath fleet`."""
    app.command()(export)
    app.command()(erase)
    app.command("rotate-key")(rotate_key)


def export(
    config: ConfigFile,
    out: Annotated[Path, typer.Option(metavar="FILE", help="the .zip to write")],
    agent: AgentOrSerial = "",
    serial: Serial = "",
) -> None:
    """Write everything that is held about a laptop to a file (a request for access)."""
    import sqlite3

    from collectors.personal_export import gather_export, write_export
    from collectors.store import Away, QueryFailed
    from towpath.config import personal_folders

    need_one(agent, serial)
    settings = read_config(config)
    with registry_of(settings.ingest) as registry:
        agent = current_laptop(registry, agent, serial)
        try:
            rows = run_async(_stored_rows(settings, agent))
            waiting = run_async(_waiting_rows(settings, agent))
            folders = personal_folders(settings)
            export = gather_export(folders, agent, rows, waiting)
            if not export.count:
                fail(f"no laptop is called {agent!r}, and no data about it is stored")
            # Before it is written, so that no export is without a note. Not the name of
            # one that is not enrolled: it may have been erased.
            known = any(enrolled.agent == agent for enrolled in registry.agents())
            subject = agent if known else "a laptop that is not enrolled"
            registry.admin.note_export(subject, wall_ms(), user_name())
            write_export(out, export, wall_ms())
        except (Away, QueryFailed, sqlite3.Error, ValueError) as error:
            fail(f"nothing was exported: {error}")
        except OSError as error:
            fail(f"nothing was exported: {sentence_of(error)}")
    typer.echo(f"{out}: {counted(export.count, 'record')} about {agent}")


async def _stored_rows(settings: TowpathConfig, agent: str) -> list[Record]:
    from collectors.personal_export import stored_rows
    from collectors.server_measurements import CATALOGUE
    from collectors.store import open_store

    async with open_store(settings.store, CATALOGUE) as store:
        return await stored_rows(store, CATALOGUE, agent, wall_ms())


async def _waiting_rows(settings: TowpathConfig, agent: str) -> list[Record]:
    """What is in streams of NATS: of the journal, and of DMZ nodes that the inside has
    not pulled yet. Raises `ValueError` if that cannot be read."""
    servers = dict(settings.ingest.dmz_nodes)
    if "nats" in (settings.journal.kind, settings.journal.before):
        servers["journal"] = settings.nats
    if not servers:
        return []
    from collectors.nats.nats_connection import NatsConnection, connected_once
    from collectors.nats.nats_errors import NATS_FAILURES
    from collectors.nats.stream_scan import held_batches
    from collectors.personal_readers import rows_of

    found: list[Record] = []
    for nats in servers.values():
        connection = NatsConnection(nats, "export")
        try:
            async with connected_once(connection):
                async for batch in held_batches(connection):
                    found += rows_of(batch, agent)
        except NATS_FAILURES as error:
            raise ValueError(connection.sentence(error)) from None
    return found


def erase(config: ConfigFile, agent: AgentOrSerial = "", serial: Serial = "") -> None:
    """Erase a laptop and everything it measured (a data protection request)."""
    from collectors.personal_data import count_agent_lines as count_lines
    from collectors.personal_data import erase_agent as erase_files
    from collectors.server_measurements import CATALOGUE
    from collectors.store import Away, QueryFailed, RowsRefused, open_store
    from collectors.store.erasure import Erasures
    from towpath.config import personal_folders

    need_one(agent, serial)
    settings = read_config(config)
    folders = personal_folders(settings)
    requests = Erasures(settings.store.folder)
    embedded = settings.store.kind == "embedded"

    async def count_rows() -> int:
        async with open_store(settings.store, CATALOGUE) as store:
            return await store.count_rows(agent)

    async def erase_rows() -> None:
        async with open_store(settings.store, CATALOGUE) as store:
            # Recorded first, so that nothing comes back from the journal. The process
            # that writes an embedded store's files erases the rows when it tidies up.
            requests.request(agent, wall_ms(), done=not embedded)
            if not embedded:
                await store.erase(agent)

    with registry_of(settings.ingest) as registry:
        agent = current_laptop(registry, agent, serial)
        # Unreadable bodies may be from any laptop, so all of them are erased. Nothing
        # is erased until it is known that there is such a laptop.
        try:
            lines, rows = count_lines(folders, agent), run_async(count_rows())
        except OSError as error:
            fail(f"nothing was erased: {sentence_of(error)}")
        except (Away, RowsRefused, QueryFailed, ValueError) as error:
            fail(f"nothing was erased: {error}")
        enrolled = any(known.agent == agent for known in registry.agents())
        if not (enrolled or rows or lines):
            fail(f"no laptop is called {agent!r}, and no data about it is stored")
        registry.admin.forget(agent, wall_ms(), user_name())
    try:
        erase_files(folders, agent)
    except OSError as error:
        fail(f"no longer enrolled, but a file still names it: {sentence_of(error)}")
    try:
        run_async(erase_rows())
    except (Away, RowsRefused, QueryFailed, OSError, ValueError) as error:
        fail(f"no longer enrolled, but its rows are still in the store: {error}")
    if embedded:
        after = (
            counted(rows, "row") + " will be erased within a minute of Towpath running"
        )
    else:
        after = counted(rows, "row is gone", "rows are gone")
    typer.echo(f"{agent} is erased: its {after}")


def rotate_key(
    config: ConfigFile,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Replace the key of the pseudonyms, which cannot be undone."""
    with open_registry(config) as registry:
        if not yes:
            typer.echo(
                "The old key will be gone for ever, and with it the way from the "
                "present pseudonyms to laptops.\nLaptops go on reporting under the "
                "pseudonyms they have; a laptop that enrols from now on gets one of "
                "the new key.\nLaptops cannot be found by serial number until they "
                "have replaced their secrets (ingest.policy.credential_days)."
            )
            typer.confirm("Replace the key?", abort=True)
        old, new = registry.admin.replace_key(wall_ms(), user_name())
    typer.echo(f"the key {old} is replaced by {new}: have the new one kept apart")

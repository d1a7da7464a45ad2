"""What the commands of `towpath fleet` share: the registry, and the laptop meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probes.wire.clock import wall_ms
from towpath.commands.shared import (
    ensure_folder,
    fail,
    read_config,
    usage_error,
    user_name,
)

if TYPE_CHECKING:
    from collectors.ingest import IngestConfig, Registry
    from collectors.ingest.ingest_config import PolicyConfig
    from collectors.ingest.registry_records import EnrolledAgent

Agent = Annotated[str, typer.Argument(help="the laptop's pseudonym")]
AgentOrSerial = Annotated[
    str, typer.Argument(help="the laptop's pseudonym, or give --serial")
]
Serial = Annotated[
    str,
    typer.Option(
        metavar="NUMBER", help="the computer's serial number; the look-up is audited"
    ),
]


@contextmanager
def open_registry(config: Path, *, may_make: bool = False) -> Iterator[Registry]:
    """The registry of these settings; exits with one sentence if it cannot be used."""
    with registry_of(read_config(config).ingest, may_make=may_make) as registry:
        yield registry


@contextmanager
def registry_of(ingest: IngestConfig, *, may_make: bool = False) -> Iterator[Registry]:
    """As `open_registry`. Unless it `may_make` one, settings of another folder do not
    leave an empty registry and a new key there."""
    import sqlite3

    from collectors.ingest import Registry

    if not may_make and _is_missing(ingest.registry.path):
        fail(
            f"there is no registry {ingest.registry.path} (ingest.registry.path): it "
            "is made with the first token, or when the role ingest starts"
        )
    ensure_folder(ingest.registry.path, "ingest.registry.path")
    ensure_folder(ingest.registry.key_file, "ingest.registry.key_file")
    try:
        with Registry(ingest.registry) as registry:
            yield registry
    except typer.Exit:
        # Also a RuntimeError, but not an error of the registry.
        raise
    except (OSError, RuntimeError, ValueError, sqlite3.Error) as error:
        fail(str(error))


def _is_missing(path: Path) -> bool:
    """Whether there is no such file. One that this user may not look for is not missing
    for certain."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def need_ring(ring: str, policy: PolicyConfig, agents: Sequence[EnrolledAgent]) -> None:
    """Exits if neither the settings nor a laptop have that ring: it is mistyped."""
    from collectors.ingest.rings import unknown_ring_text

    if fault := unknown_ring_text(ring, policy, agents):
        usage_error([fault])


def need_one(agent: str, serial: str) -> None:
    """Exits unless there is either a pseudonym or a serial number."""
    from probes.wire.machine_number import known_number

    if bool(agent) == bool(serial):
        usage_error(["expected the laptop's pseudonym, or --serial NUMBER"])
    if serial and not known_number(serial):
        usage_error([f"{serial!r} is no computer's own serial number"])


def look_up(registry: Registry, serial: str) -> list[EnrolledAgent]:
    """The laptops on that computer, newest first; exits if there is none, or if others
    have the same number."""
    found = registry.admin.look_up(serial, wall_ms(), user_name())
    if not found:
        fail(
            "no laptop has that serial number: perhaps its agent could not read it, or "
            "the key was replaced since it enrolled"
        )
    if any(agent.shares for agent in found):
        names = ", ".join(agent.agent for agent in found)
        fail(f"several computers have that number: give one pseudonym of {names}")
    return found


def current_laptop(registry: Registry, agent: str, serial: str) -> str:
    """The pseudonym, or that of the newest laptop on that computer. An older one may
    have been another person's."""
    if not serial:
        return agent
    newest, *older = look_up(registry, serial)
    for other in older:
        typer.echo(
            f"{other.agent} was on the same computer before, perhaps another person's: "
            "it stays as it is",
            err=True,
        )
    return newest.agent


def hour_text(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:00 UTC")


def minute_text(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")

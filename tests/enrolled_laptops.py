"""Laptops that have enrolled with a running council, and whether it accepts them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ingest_council import Door, body, report

from probes import platforms
from probes.agent.enrol import (
    StoredCredential,
)
from probes.agent.enrol import enrol as enrol_here
from probes.agent.settings import Settings
from probes.wire.clock import wall_ms
from probes.wire.report import AgentCredential

OURS, THEIRS = "PF3ABCDE", "5CG1234XYZ"


def settings(council: Door, folder: Path) -> Settings:
    folder.mkdir(exist_ok=True)
    return Settings(
        server=f"https://127.0.0.1:{council.ingest.port}",
        ca_file=str(council.certificates.authority),
        state_folder=str(folder),
    )


async def enrolled(council: Door, folder: Path, machine: str = "") -> StoredCredential:
    """A laptop with that number that has enrolled."""
    here = settings(council, folder)
    token = council.registry.admin.make_token("hall", 1, 1, wall_ms())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platforms, "machine_numbers", lambda: (machine,))
        return await enrol_here(here.server, token, folder, here.ca_file, "test")


async def accepts(council: Door, who: AgentCredential) -> bool:
    sent = await council.send(who, body(report(who.agent, f"r-{wall_ms()}")))
    return bool(sent.status_code == 200)

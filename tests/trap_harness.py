"""A trap receiver on a free port, and net-snmp's commands that send to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import services
from waiting import until

from collectors.batch import Batch, check_batch
from collectors.estate import Device, Estate, Site
from collectors.server_measurements import CATALOGUE
from collectors.snmp import Credential, credential
from collectors.snmp.traps import TrapReceiver, TrapsConfig
from probes.wire.sample import Sample

ESTATE = Estate(
    sites=(Site(id="hall", name="Town Hall"),),
    devices=(
        Device(id="core-1", site="hall", address="127.0.0.1"),  # type: ignore[arg-type]
        Device(id="far-1", site="hall", address="10.9.9.9"),  # type: ignore[arg-type]
    ),
)
LINK_DOWN = (
    "1.3.6.1.6.3.1.1.5.3",
    *("1.3.6.1.2.1.2.2.1.1.7", "i", "7"),
    *("1.3.6.1.2.1.2.2.1.7.7", "i", "1"),
    *("1.3.6.1.2.1.2.2.1.8.7", "i", "2"),
)
COMMUNITY = {"public": {"community": "public"}}


class MemoryJournal:
    """A journal in memory, which can be full. Rows are checked with the catalogue."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.full = False

    async def append(self, *batches: Batch) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        for batch in batches:
            self.samples += check_batch(batch, CATALOGUE).samples()

    def counts(self) -> dict[str, int]:
        """Return how many of each event came."""
        counts: dict[str, int] = {}
        for row in self.samples:
            event = row.tags["event"]
            counts[event] = counts.get(event, 0) + int(row.fields["count"])
        return counts

    def rows(self, event: str) -> list[Sample]:
        """Return the rows of one event."""
        return [row for row in self.samples if row.tags["event"] == event]


class RecordingPoller:
    """A poller that only records the requests for polls."""

    def __init__(
        self,
        names: Mapping[int, str] | None = None,
        descriptions: Mapping[str, str] | None = None,
    ) -> None:
        self.polled: list[str] = []
        self._names, self._descriptions = names or {}, descriptions or {}

    def poll_soon(self, device: str, health: bool = False) -> bool:
        self.polled.append(device)
        return True

    def port_name(self, device: str, if_index: int) -> str | None:
        return self._names.get(if_index)

    def port_description(self, device: str, port: str) -> str:
        return self._descriptions.get(port, "")


class RunningReceiver:
    def __init__(
        self, receiver: TrapReceiver, journal: MemoryJournal, poller: RecordingPoller
    ) -> None:
        self.receiver, self.journal, self.poller = receiver, journal, poller

    @property
    def stats(self) -> dict[str, int]:
        """Return the receiver's row of `self_traps`."""
        (sample,) = self.receiver.samples(0)
        return {name: int(value) for name, value in sample.fields.items()}

    async def send(self, program: str, *arguments: str) -> tuple[int, str]:
        """Run snmptrap or snmpinform; `TO` in its arguments stands for the receiver."""
        to = f"127.0.0.1:{self.receiver.inbox.port}"
        process = await asyncio.create_subprocess_exec(
            services.program(program),
            *(to if argument == "TO" else argument for argument in arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Without MIB files, OIDs are numeric, as on the wire.
            env={**os.environ, "MIBS": "", "SNMP_PERSISTENT_DIR": "/nonexistent"},
        )
        output, _ = await asyncio.wait_for(process.communicate(), 30)
        return process.returncode or 0, output.decode()

    async def until(self, counts: Mapping[str, int]) -> None:
        """Wait until that many of each event came."""
        await until(
            lambda: all(self.journal.counts().get(e, 0) >= n for e, n in counts.items())
        )

    async def until_refused(self, reason: str, count: int = 1) -> None:
        await until(lambda: self.receiver.stats.refused[reason] >= count)


@contextlib.asynccontextmanager
async def receiving(
    users: Mapping[str, Mapping[str, str]] = COMMUNITY,
    *,
    estate: Estate = ESTATE,
    names: Mapping[int, str] | None = None,
    descriptions: Mapping[str, str] | None = None,
    state: Path | None = None,
    **settings: object,
) -> AsyncIterator[RunningReceiver]:
    journal, poller = MemoryJournal(), RecordingPoller(names, descriptions)
    config = TrapsConfig.model_validate(
        {"host": "127.0.0.1", "port": 0, "state_file": state, **settings}
    )
    credentials: list[Credential] = [credential(n, given) for n, given in users.items()]
    receiver = TrapReceiver(config, lambda: estate, credentials, journal, poller)
    async with receiver:
        yield RunningReceiver(receiver, journal, poller)

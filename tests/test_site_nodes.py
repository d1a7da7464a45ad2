"""A poller near the devices keeps its rows in a nats-server there while the line is
down: all come once, and what is dropped at the limit is counted on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from nats_servers import NatsServer, running_nats
from structlog.testing import capture_logs
from test_journal_log import rows
from waiting import until

from collectors.dmz.dmz_messages import READER
from collectors.journal import Journal, JournalConfig, JournalReader
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.stream_log import StreamLog
from collectors.server_measurements import CATALOGUE
from probes.wire.clock import wall_ms
from towpath.config import TowpathConfig, read
from towpath.run import Installation

_ROWS, _AT_ONCE = 120_000, 3_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running_nats(tmp_path_factory.mktemp("nats")) as server:
        yield server


def _inside(folder: Path, nats: NatsConfig) -> TowpathConfig:
    (folder / "estate.toml").write_text("")
    file = folder / "towpath.toml"
    file.write_text(
        'state = "state"\nestate = "estate.toml"\n[metrics]\nport = 0\n'
        '[journal]\nreaders = ["test"]\n'
        f'[ingest.site_nodes.depot]\nservers = ["{nats.servers[0]}"]\n'
        f'prefix = "{nats.prefix}"\n'
    )
    return read(file)


async def _pulled(
    inside: TowpathConfig, least: int, dropped: int = 0
) -> tuple[list[int], int]:
    """All rows of the site in the journal inside, once there are so many and gaps of
    `dropped` rows are logged, and the rows of the gaps."""
    found: list[int] = []
    with capture_logs() as logs:

        def gap_rows() -> int:
            return sum(e["rows"] for e in logs if e["event"] == "journal_gap")

        async with (
            Installation(inside, ["ingest"]),
            JournalReader(inside.journal.folder, "test") as reader,
        ):

            async def are_there() -> bool:
                chunk = await reader.read(wait_s=0.1)
                for batch in [] if chunk is None else chunk.batches:
                    if batch.measurement == "device":
                        found.extend(batch.field("packets"))  # type: ignore[arg-type]
                return len(found) >= least and gap_rows() >= dropped

            await until(are_there, f"{least} rows and a gap of {dropped}")
    return found, gap_rows()


@pytest.mark.parametrize("max_bytes", [1 << 24, 1 << 17])
async def test_what_a_site_kept_comes_once_or_is_counted_as_dropped(
    server: NatsServer, tmp_path: Path, max_bytes: int
) -> None:
    nats = NatsConfig(servers=(server.url,), prefix=f"kept-{max_bytes}")
    config = JournalConfig(
        kind="nats",
        folder=tmp_path / "site",
        readers=(READER,),
        max_bytes=max_bytes,
        segment_bytes=1 << 16,
    )
    inside = _inside(tmp_path, nats)
    async with NatsConnection(nats, "depot") as connection:
        log = StreamLog(config, "poll+depot", connection)
        async with Journal(config, "poll+depot", CATALOGUE, log=log) as journal:
            # The line is down.
            for first in range(0, _ROWS, _AT_ONCE):
                await journal.append(rows(first, _AT_ONCE))
                # Step by step: the notes of early steps are dropped by later ones.
                await log.tidy(wall_ms())
                assert log._tidying is not None
                await log._tidying
            dropped = journal.stats.dropped_rows
            assert (dropped > 0) == (max_bytes < 1 << 24)
            found, gap_rows = await _pulled(inside, _ROWS - dropped, dropped)
            assert sorted(found) == list(range(dropped, _ROWS))
            assert gap_rows == dropped
            # The line was down again; nothing comes twice.
            await journal.append(rows(_ROWS, 1))
            found, gap_rows = await _pulled(inside, _ROWS - dropped + 1)
            assert sorted(found) == list(range(dropped, _ROWS + 1))
            assert gap_rows == 0

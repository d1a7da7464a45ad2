"""Roles on several machines: they share nothing but NATS."""

from __future__ import annotations

from pathlib import Path

import pyarrow.dataset
from nats_servers import NatsServer
from waiting import until

from collectors.nats.journal_streams import JournalStreams
from probes.wire.clock import wall_ms
from towpath.config import TowpathConfig, read
from towpath.run import Installation


def machine(folder: Path, server: NatsServer, prefix: str) -> TowpathConfig:
    folder.mkdir()
    (folder / "estate.toml").write_text("")
    file = folder / "towpath.toml"
    file.write_text(
        'state = "state"\nestate = "estate.toml"\nself_s = 0.2\n'
        '[metrics]\nport = 0\n[store]\nflush_s = 0.1\n[journal]\nkind = "nats"\n'
        f'[nats]\nservers = ["{server.url}"]\nprefix = "{prefix}"\n'
    )
    return read(file)


def times_ms(config: TowpathConfig) -> list[int]:
    """The times of the rows about the poller's journal."""
    folder = config.store.folder / "shared" / "self_journal"
    files = [str(file) for file in folder.rglob("*.parquet")]
    if not files:
        return []
    rows = pyarrow.dataset.dataset(files).to_table().to_pylist()
    return sorted(row["time_ms"] for row in rows if row["process"] == "poll")


async def test_the_store_has_what_a_poller_on_another_machine_appended(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    poller = machine(tmp_path / "poller", nats_server, "apart")
    store = machine(tmp_path / "store", nats_server, "apart")
    async with Installation(poller, ["poll"]) as polling:
        async with Installation(store, ["store"]):
            await until(lambda: len(times_ms(store)) > 2)
        before_ms = max(times_ms(store))
        known = polling.journal.stats.appended_rows
        # While the store is away, the stream keeps the rows.
        await until(lambda: polling.journal.stats.appended_rows > known + 3)
        back_ms = wall_ms()
        async with Installation(store, ["store"]) as storing:
            await until(lambda: max(times_ms(store)) > back_ms)
            connection = storing._kind.connection
            assert connection is not None
            streams = JournalStreams(connection)
            assert set(await streams.progress("poll")) == {"store", "groups"}
    assert [at for at in times_ms(store) if before_ms < at < back_ms]
    assert not list((tmp_path / "poller" / "state" / "journal").rglob("*.segment"))

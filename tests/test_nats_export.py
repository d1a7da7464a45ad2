"""`towpath fleet export` with a journal in NATS: what waits there belongs to it."""

from __future__ import annotations

import asyncio
import zipfile
from pathlib import Path

import msgspec
from journal_places import JournalPlace
from nats_servers import NatsServer
from river import Council, towpath
from test_personal_data import HER, NOW_MS, OTHER, batch

from collectors.ingest import Registry
from collectors.nats.journal_streams import JournalStreams
from towpath.config import read


def test_an_export_has_what_waits_in_streams_of_the_journal_and_of_a_dmz_node(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    inside, dmz = (JournalPlace(tmp_path / name, nats_server) for name in ("a", "dmz"))
    council = Council(tmp_path)
    more = f"""
[nats]
servers = ["{nats_server.url}"]
prefix = "{inside.nats.prefix}"

[ingest.dmz_nodes.dmz]
servers = ["{nats_server.url}"]
prefix = "{dmz.nats.prefix}"
"""
    council.write_settings(more, journal='kind = "nats"')
    with Registry(read(council.settings).ingest.registry):
        # The command makes none.
        pass

    async def append() -> None:
        for place, at_ms in ((inside, NOW_MS), (dmz, NOW_MS + 1)):
            async with place.connection, place.journal("ingest") as journal:
                await journal.append(batch(HER, at_ms), batch(OTHER, at_ms))
                # No reader has read these; one is damaged. A log has no rows yet.
                streams = JournalStreams(place.connection)
                await streams.ensure("poll", 30)
                await place.connection.jetstream.publish(
                    streams.subject("ingest"), b"damaged"
                )

    asyncio.run(append())
    out = tmp_path / "her.zip"
    ended = towpath("fleet", "export", HER, "--out", out, "-c", council.settings)
    assert ended.returncode == 0, ended.stderr
    with zipfile.ZipFile(out) as archive:
        lines = archive.read("journal-segment.jsonl").splitlines()
        readme = archive.read("README.txt").decode()
    records = [msgspec.json.decode(line) for line in lines]
    assert sorted(record["received_ms"] for record in records) == [NOW_MS, NOW_MS + 1]
    assert {record["tags"]["agent"] for record in records} == {HER}
    assert "journal-segment.jsonl: 2 records" in readme
    # Half an answer is none.
    council.settings.write_text(
        council.settings.read_text().replace(nats_server.url, "nats://127.0.0.1:1", 1)
    )
    ended = towpath("fleet", "export", HER, "--out", out, "-c", council.settings)
    assert ended.returncode == 1
    said = "nothing was exported: nats://127.0.0.1:1: cannot be reached"
    assert said in ended.stderr

"""Sites whose poller keeps its rows in a nats-server there: the inside pulls them."""

from __future__ import annotations

from functools import partial

from collectors.dmz.dmz_messages import READER
from collectors.journal import Append
from towpath.config import TowpathConfig
from towpath.dmz_parts import reader_rows
from towpath.process_pieces import Pieces, Sources


def site_links(
    config: TowpathConfig, append: Append, process: str
) -> tuple[Pieces, Sources]:
    """What pulls from each site, and rows of how far it is."""
    pieces: Pieces = []
    sources: Sources = []
    for name, nats in config.ingest.site_nodes.items():
        # A process without such sites needs no client of NATS.
        from collectors.nats.nats_connection import NatsConnection
        from collectors.nats.nats_watch import NatsWatch
        from collectors.nats.stream_pull import StreamPull

        connection = NatsConnection(nats, f"inside-{name}")
        folder = config.state / "site_nodes" / name
        # A poller of the council's own may write about anything.
        pull = StreamPull(connection, f"site {name}", READER, folder, append, list)
        watch = NatsWatch(connection, process, node=name)
        place = ", ".join(nats.servers)
        pieces += [
            (f"site node {name} at {place}", connection),
            (f"rows of site node {name}", pull),
            (f"watch of site node {name}", watch),
        ]
        sources.append((f"site {name}", partial(reader_rows, pull.sample, process)))
        sources.append((f"streams of site {name}", watch.samples))
    return pieces, sources

"""Parts of the role ingest of which one half is outside, on a DMZ node."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from alerts.live_events.speed_test_freezes import EventFreezes
from alerts.staff_incidents import KnownIncidents
from collectors.deletion_clock import DeletionBound, DeletionClock, as_it_is
from collectors.dmz.dmz_messages import READER
from collectors.estate import Estate, EstateFile
from collectors.ingest import BrokerFiles, HttpsIngest, Registry
from collectors.journal import Append
from collectors.self_metrics import Source
from collectors.support_codes import SupportCodes, support_codes_file
from probes.wire.clock import WallClock
from probes.wire.sample import Sample
from towpath.config import TowpathConfig, personal_folders
from towpath.journal_kind import JournalKind
from towpath.process_pieces import Pieces, Sources
from towpath.readiness import Check

# All that a DMZ node needs; any other setting may hold a secret.
_NEEDED = {
    "council",
    "state",
    "estate",
    "log",
    "journal",
    "nats",
    "ingest",
    "metrics",
    "self_s",
}


def dmz_problems(config: TowpathConfig, roles: Sequence[str]) -> Iterator[str]:
    """What a DMZ node must not have, or lacks; nothing if this is none."""
    ingest = config.ingest
    if not ingest.dmz:
        return
    if tuple(roles) != ("ingest",):
        yield "ingest.dmz: a DMZ node runs one role: expected --role ingest"
    usual = TowpathConfig.model_validate({"state": str(config.state)})
    for name in sorted(type(config).model_fields.keys() - _NEEDED):
        if getattr(config, name) != getattr(usual, name):
            yield (
                f"[{name}] is set, but a DMZ node must hold no secret of the inside: "
                "expected it there only"
            )
    for what, file in (
        ("ingest.registry.key_file", ingest.registry.key_file),
        ("ingest.registry.path", ingest.registry.path),
    ):
        if file.exists():
            yield (
                f"{what}: {file} exists, but a DMZ node must hold neither the "
                "pseudonym key nor the registry: remove it"
            )
    own = ingest.policy.model_fields_set - {"reflector_secret_file"}
    for name in sorted(own):
        yield (
            f"ingest.policy.{name}: a DMZ node gets the policy from the inside: remove "
            "it here"
        )
    if ingest.mqtt is not None or ingest.broker is not None:
        yield "ingest.mqtt, ingest.broker: a DMZ node takes reports over HTTPS only"
    if ingest.https is None:
        yield "ingest.https: a DMZ node needs it"
    if ingest.anonymous:
        yield "ingest.anonymous: a DMZ node takes reports of known laptops only"
    if config.journal.kind != "nats":
        yield 'journal.kind: a DMZ node writes to a stream: expected "nats"'


def process_journal(
    config: TowpathConfig,
    roles: Sequence[str],
    process: str,
    bounded: DeletionBound = as_it_is,
) -> JournalKind:
    """The journal of a process; on a DMZ node, rows are kept until the inside has
    pulled them. Raises `ValueError` if such a node has what it must not have."""
    journal = config.journal
    if config.ingest.dmz:
        if problems := [*dmz_problems(config, roles)]:
            raise ValueError("\n".join(problems))
        journal = journal.model_copy(update={"readers": (READER,)})
    return JournalKind(journal, config.nats, process, bounded)


def dmz_ingest(
    config: TowpathConfig,
    kind: JournalKind,
    append: Append,
    process: str,
    now_ms: WallClock,
    clock: DeletionClock,
) -> tuple[HttpsIngest, Source, Check]:
    """What a DMZ node serves to laptops, rows of what it knows, and whether it can let
    laptops in."""
    # The client library is imported only where it is needed.
    from collectors.dmz.dmz_identities import DmzIdentities
    from collectors.dmz.dmz_leftovers import remove_leftovers
    from collectors.dmz.dmz_registry import DmzRegistry

    assert kind.connection is not None
    ingest = config.ingest
    registry = DmzRegistry(
        kind.connection,
        ingest.registry.stop_orders,
        ingest.dmz_list_days,
        now_ms,
        remove_leftovers=partial(remove_leftovers, personal_folders(config)),
    )
    identities = DmzIdentities(kind.connection, registry, time.monotonic)
    https = HttpsIngest(
        ingest,
        registry,
        append,
        enrolling=identities,
        codes=identities,
        policy=lambda: registry.policy,
        estate=lambda: registry.view.estate,
        incidents=lambda sites: registry.view.incidents(sites),
        freezes=lambda at_ms: registry.view.freezes,
        now_ms=now_ms,
        clock=clock,
    )
    return (
        https,
        lambda at_ms: [registry.sample(process, at_ms)],
        lambda at_ms: registry.problem,
    )


def dmz_links(
    config: TowpathConfig,
    registry: Registry,
    broker: BrokerFiles | None,
    estate: EstateFile,
    append: Append,
    process: str,
    now_ms: WallClock,
) -> tuple[Pieces, Sources]:
    """What the inside does for each of its DMZ nodes, and rows of how far it is."""
    if not config.ingest.dmz_nodes:
        return [], []
    from collectors.dmz.dmz_link import DmzLink
    from collectors.dmz.registry_publisher import PublishedSources
    from collectors.ingest.enrolment import EnrolmentService
    from collectors.ingest.stop_order_file import ServedOrders

    ingest = config.ingest
    codes = SupportCodes(support_codes_file(ingest.registry.path), now_ms)
    wait = None if broker is None else broker.wait_loaded
    service = EnrolmentService(registry, wait, time.monotonic)
    orders = ServedOrders(ingest.registry.stop_orders, lambda: ingest.policy.stop_key)
    published = PublishedSources(
        lambda: estate.current,
        orders.every_line,
        ingest.policy,
        # Without the estate, sites are named by their ids: no names go out.
        KnownIncidents(config.alerts.standing, Estate).by_site,
        EventFreezes(config.alerts, lambda: estate.current),
    )
    pieces: Pieces = []
    sources: Sources = []
    for name, nats in ingest.dmz_nodes.items():
        link = DmzLink(
            name,
            nats,
            config.state / "dmz_nodes" / name,
            registry,
            service,
            codes,
            append,
            published,
            ingest.limits.max_ahead_s,
            now_ms,
            process,
        )
        pieces.append((f"DMZ node {name} at {', '.join(nats.servers)}", link))
        count = partial(reader_rows, link.reader.sample, process)
        sources.append((f"dmz {name}", count))
        sources.append((f"node {name}", link.samples))
        sources.append((f"streams of dmz {name}", link.watch.samples))
    return pieces, sources


def reader_rows(
    sample: Callable[[str, int], Sample], process: str, at_ms: int
) -> list[Sample]:
    """A source of one row, how far a reader is."""
    return [sample(process, at_ms)]

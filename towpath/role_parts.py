"""Parts of roles that are made of several settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from alerts.acknowledgement import Share
from alerts.api_tokens import AUDIT_DAYS, ApiTokens, tokens_file
from alerts.rule_files import load_rules
from collectors.calls.building_file import read_buildings
from collectors.calls.call_collector import CallCollector
from collectors.calls.call_places import CallLocator
from collectors.estate import Estate, EstateFile
from collectors.ingest import Registry, enrolled_samples, registry_audit
from collectors.ingest.providers import Providers
from collectors.journal import Append
from collectors.machine_name import machine_name
from collectors.personal_data import PERSONAL_DAYS, prune_files
from collectors.retention import Job
from collectors.self_metrics import Source
from collectors.server_measurements import CATALOGUE
from collectors.sharing.estate_share import site_pollers
from collectors.snmp import Credentials, Poller
from collectors.store import StorePart
from collectors.store.erasure import Erasures
from dashboards.web import ApiSources
from dashboards.web.sign_in.access_audit import KEPT_DAYS, AccessAudit
from probes.wire.clock import WallClock, wall_ms
from towpath.config import ROLES, TowpathConfig, personal_folders
from towpath.process_pieces import Pieces, Sources

if TYPE_CHECKING:
    from alerts.standby.shared_acknowledgements import SharedAcknowledgements
    from collectors.nats.nats_connection import NatsConnection


def shared_acknowledgements(
    config: TowpathConfig, connection: NatsConnection | None
) -> SharedAcknowledgements | None:
    """Where the pages of two machines that alert put them; None with one."""
    if connection is None or not config.alerts.standby.enabled:
        return None
    from alerts.standby.shared_acknowledgements import SharedAcknowledgements

    return SharedAcknowledgements(connection)


def api_sources(
    config: TowpathConfig, estate: EstateFile, share: Share | None = None
) -> ApiSources:
    """What the API of the web role reads."""
    rules = load_rules(CATALOGUE, config.alerts.rules)
    return ApiSources(
        config.alerts.standing,
        lambda: (rules, estate.current),
        lambda: estate.current,
        config.ingest,
        config.alerts.timezone,
        share,
    )


def retention_jobs(config: TowpathConfig) -> list[Job]:
    """The files that the store role deletes when their time is over."""
    erasures = Erasures(config.store.folder)
    return [
        personal_files_job(config),
        ("requests to erase", PERSONAL_DAYS, erasures.prune),
    ]


def personal_files_job(config: TowpathConfig) -> Job:
    """Deletes files about single laptops on this machine when their time is over."""
    folders = personal_folders(config)
    days = min(config.store.personal_days or PERSONAL_DAYS, PERSONAL_DAYS)
    return "files with personal data", days, lambda at: prune_files(folders, at)


def laptop_jobs(config: TowpathConfig, registry: Registry) -> list[Job]:
    """Jobs that delete laptops that report no more, and old records of what was done
    to laptops."""
    days, admin = config.ingest.registry.unseen_days, registry.admin
    return [
        ("agents", days, admin.forget_unseen),
        ("deeds about agents", registry_audit.KEPT_DAYS, admin.forget_deeds),
    ]


def audit_jobs(config: TowpathConfig) -> list[Job]:
    """Jobs that delete old records of what people and programs did on pages and in the
    API."""
    tokens = ApiTokens(tokens_file(config.alerts.standing))
    people = AccessAudit(config.web.sign_in.file, wall_ms)
    return [
        ("deeds of programs", AUDIT_DAYS, tokens.forget_entries),
        ("deeds of people", KEPT_DAYS, people.forget_entries),
    ]


def name_process(
    config: TowpathConfig, roles: Sequence[str], part: StorePart | None = None
) -> str:
    """What a process is called in its rows and its log of the journal: by its roles,
    by its poller or its machine if there may be several, and by its part of the store
    from 2 on."""
    name = "all" if len(roles) == len(ROLES) else "-".join(roles)
    poller = config.snmp.poller_name if "poll" in roles else ""
    machine = config.alerts.standby.machine if "alert" in roles else ""
    if own := poller or machine:
        name += f"+{own}"
    if part is not None and part.number > 1:
        name += f"+{part.number}"
    return name


def build_poller(
    config: TowpathConfig,
    estate: EstateFile,
    credentials: Credentials,
    append: Append,
    process: str,
    now_ms: WallClock,
    journal_connection: NatsConnection | None = None,
) -> tuple[Poller, Pieces, Sources]:
    """The poller; and what must run before it, and rows of that, if it shares the
    estate with others. `journal_connection`: if the journal is in NATS."""
    name = config.snmp.poller_name
    is_named = name in site_pollers(estate.current).values()
    pieces: Pieces = []
    sources: Sources = []
    share, learnt = None, None
    if config.snmp.share and not is_named:
        # A process that does not share needs no client of NATS.
        from collectors.nats.nats_connection import NatsConnection
        from collectors.nats.nats_watch import NatsWatch
        from collectors.sharing.learnt_bucket import LearntBucket
        from collectors.sharing.share_thread import ShareThread

        connection = NatsConnection(config.nats, f"poll-{name}")
        share = ShareThread(config.nats, name, config.snmp.near, config.snmp.lease_s)
        learnt = LearntBucket(connection)
        servers = ", ".join(config.nats.servers)
        pieces = [(f"NATS {servers}", connection), (f"share as {name}", share)]
        sources = [("share", lambda at: [share.sample(process, at)])]
        if config.journal.kind == "files":
            # Else the role `alert` looks at them.
            watch = NatsWatch(connection, process)
            pieces.append(("watch of NATS", watch))
            sources.append(("streams", watch.samples))
    if journal_connection is not None:
        # With files all roles run on one machine, which refuses a second poller.
        from collectors.sharing.poller_presence import SHARED, WHOLE, PollerPresence

        part = name if is_named else WHOLE if share is None else SHARED
        machine = machine_name("poller")
        shared_name = name if part == SHARED else ""
        presence = PollerPresence(
            journal_connection, machine, part, config.state, shared_name
        )
        pieces.append(("presence of the poller", presence))
    poller = Poller(
        config.snmp,
        lambda: estate.current,
        credentials,
        append,
        process,
        now_ms,
        share=share,
        learnt=learnt,
    )
    return poller, pieces, sources


def agent_counts(
    config: TowpathConfig, estate: EstateFile, registry: Registry
) -> Source:
    """Rows of how many laptops are enrolled."""
    least = config.groups.least
    return lambda at: enrolled_samples(
        registry.agents(), estate.current.teams, least, at
    )


def call_collector(
    config: TowpathConfig, estate: EstateFile, append: Append, now_ms: WallClock
) -> CallCollector:
    """The reader of Microsoft's record of calls, with places as the estate has them.
    Raises `ValueError` if a file that it needs cannot be used."""
    calls = config.calls
    buildings = [] if calls.buildings is None else read_buildings(calls.buildings)
    table = config.ingest.providers
    providers = Providers() if table is None else Providers.read(table)
    known: dict[int, tuple[Estate, CallLocator]] = {}

    def locator() -> CallLocator:
        """The locator of the estate as it is now."""
        current = estate.current
        if 0 not in known or known[0][0] is not current:
            made = CallLocator(
                current.sites,
                buildings,
                calls.egress,
                calls.vpn_subnets,
                calls.gateways,
                providers.look_up,
            )
            known[0] = (current, made)
        return known[0][1]

    return CallCollector(
        calls,
        lambda: estate.current,
        locator,
        append,
        config.state / "calls.json",
        config.groups.least,
        now_ms,
    )

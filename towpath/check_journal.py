"""What `towpath check` says of the journal: its servers, the pollers that run
now, and what is left in the earlier journal."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from collectors.nats.nats_config import NatsConfig
from towpath.config import TowpathConfig, node_servers
from towpath.journal_kind import JournalKind


def journal_findings(config: TowpathConfig) -> tuple[list[str], list[str], list[str]]:
    """Problems, warnings and facts, as sentences."""
    warnings: list[str] = []
    facts: list[str] = []
    is_written = config.journal.kind == "nats" or config.snmp.share
    # A DMZ node may do nothing there that it does not need.
    is_free = is_written and not config.ingest.dmz
    if is_written or config.journal.before == "nats":
        from collectors.nats.nats_trial import try_nats

        written = config.journal if is_written else None
        try:
            trial = asyncio.run(try_nats(config.nats, written, is_free))
        except ValueError as error:
            return [str(error)], [], []
        warnings += trial.warnings
        facts += trial.facts
    if is_free:
        warnings += asyncio.run(_overlapping_pollers(config))
    if config.ingest.dmz:
        from collectors.dmz.dmz_trial import try_list

        warnings += asyncio.run(try_list(config.nats))
    for setting, nats in node_servers(config).items():
        warned, found = asyncio.run(_try_node(setting, nats))
        warnings += warned
        facts += found
    if "nats" in (config.journal.kind, config.journal.before):
        warned, found = asyncio.run(_judge_earlier(config))
        warnings += warned
        facts += found
    return [], warnings, facts


async def _try_node(setting: str, nats: NatsConfig) -> tuple[list[str], list[str]]:
    """Warnings and facts. Files may be on the machine with the role ingest alone."""
    from collectors.nats.nats_trial import try_nats

    try:
        trial = await try_nats(nats, None)
    except ValueError as error:
        return [f"{setting}: {error}"], []
    warnings = [f"{setting}: {warning}" for warning in trial.warnings]
    return warnings, [f"{setting}: {fact}" for fact in trial.facts]


async def _judge_earlier(config: TowpathConfig) -> tuple[list[str], list[str]]:
    """Warnings and facts."""
    from collectors.nats.nats_connection import connected_once
    from collectors.nats.nats_errors import NATS_FAILURES

    before = config.journal.before
    kind = JournalKind(config.journal, config.nats, "check")
    try:
        async with AsyncExitStack() as entered:
            if before == "nats" and kind.connection is not None:
                await entered.enter_async_context(connected_once(kind.connection))
            left = ", ".join(await kind.left_readers())
    except (*NATS_FAILURES, ValueError) as error:
        assert kind.connection is not None
        said = kind.connection.sentence(error)
        return [f"journal.before cannot be read: {said}"], []
    if before is None:
        said = (
            'journal.kind is "nats", but these readers have not passed all that is '
            f'left in files: {left}; set journal.before = "files"'
        )
        return [said] if left else [], []
    said = "nothing is left there that is not read: the setting can go"
    if left:
        said = f"these readers have not passed everything there yet: {left}"
    return [], [f'journal.before = "{before}": {said}']


async def _overlapping_pollers(config: TowpathConfig) -> list[str]:
    """Pollers that run now and poll the same. What keeps it from asking is reported
    already."""
    from collectors.nats.nats_connection import NatsConnection, connected_once
    from collectors.nats.nats_errors import NATS_FAILURES
    from collectors.sharing.poller_presence import overlap_sentences, present_pollers

    connection = NatsConnection(config.nats, "check")
    try:
        async with connected_once(connection):
            return overlap_sentences(await present_pollers(connection))
    except NATS_FAILURES:
        return []

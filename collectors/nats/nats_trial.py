"""Tries the servers of NATS as the settings name them: for `towpath check`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
from nats import errors
from nats.js import api
from nats.js import errors as jetstream_errors

from collectors.journal.frame import VERSION
from collectors.journal.journal_config import JournalConfig
from collectors.nats.journal_streams import JournalStreams
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection, connected_once
from collectors.nats.nats_credentials import credentials_expire_s
from collectors.nats.nats_errors import NATS_FAILURES, is_full
from collectors.nats.stream_cursor import pull_request
from collectors.nats.stream_message import frame_of
from collectors.nats.stream_settings import replicas_sentence, stream_differences
from collectors.secret_mode import mode_refusal
from probes.wire.clock import wall_ms

_LEAST_PAYLOAD_BYTES = 64 << 10
_LEAST_CONSUMERS = 4
_CLOCK_S = 30.0
# As `own_certificate_expiring`.
_SOON_S = 21 * 86_400
_ANSWER_S = 5.0
# From this version on kills and cuts lose no streams and rows, as its makers say. Three
# cuts of later ones lost nothing in our runs (decision 013).
_SAFE = (2, 10, 23)
_NO_PLACE = frozenset({10005, 10052, 10074})


class NatsTrial(msgspec.Struct, frozen=True):
    """Sentences: what cannot work as it is, and what is there. None of it prevents a
    start: the servers may be there, or changed, later."""

    warnings: list[str] = []
    facts: list[str] = []


async def try_nats(
    config: NatsConfig, journal: JournalConfig | None, makes_stream: bool = True
) -> NatsTrial:
    """Connects to each server, and makes a stream for a moment, as large as a log of
    the journal may become; without `journal`, none of ours is there. Raises
    `ValueError` for files that cannot be used."""
    trial = NatsTrial(_judge_secrets(config))
    is_tried = False
    for server in config.servers:
        alone = config.model_copy(update={"servers": (server,)})
        connection = NatsConnection(alone, "check")
        try:
            async with connected_once(connection):
                _judge_server(connection, trial)
                if journal is not None and not is_tried:
                    is_tried = True
                    days, size = journal.max_days, journal.max_bytes
                    trial.warnings.extend(await _judge_streams(connection, days))
                    if makes_stream:
                        trial.warnings.extend(await _try_stream(connection, size))
        except NATS_FAILURES as error:
            trial.warnings.append(connection.sentence(error))
    return trial


def _judge_secrets(config: NatsConfig) -> list[str]:
    """Files of secrets that others than the user and its group can read, and
    credentials that expire."""
    files = {
        f"{config.table}.password_file": config.password_file,
        f"{config.table}.private_key": config.private_key,
    }
    found: list[str] = []
    for setting, path in files.items():
        # A file that is not there is refused when it is read.
        with contextlib.suppress(OSError):
            if path is not None and (refusal := mode_refusal(path)):
                found.append(f"{setting}: {refusal}")
    if config.credentials_file is not None:
        # A file that cannot be used is refused when it is read.
        with contextlib.suppress(ValueError):
            expires_s = credentials_expire_s(config.credentials_file)
            found += expiry_sentences(expires_s, wall_ms() / 1000, config.table)
    return found


def expiry_sentences(
    expires_s: int | None, now_s: float, table: str = "nats"
) -> Iterator[str]:
    """If the JWT of the credentials has expired, or soon will. Pure."""
    if expires_s is None or now_s < expires_s - _SOON_S:
        return
    when = datetime.fromtimestamp(expires_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    verb = "expires" if now_s < expires_s else "expired"
    yield f"{table}.credentials_file: its JWT {verb} on {when}; expected a new file"


def _judge_server(connection: NatsConnection, trial: NatsTrial) -> None:
    config, client = connection.config, connection.client
    [server] = config.servers
    version = client.connected_server_version
    text = f"{version.major}.{version.minor}.{version.patch}"
    trial.facts.append(f"{server}: nats-server {text}")
    if config.replicas > 1 and (version.major, version.minor, version.patch) < _SAFE:
        trial.warnings.append(
            f"{server}: nats-server {text} is not safe with {config.table}.replicas = "
            f"{config.replicas}: before 2.10.23 acknowledged rows can be lost when a "
            "server is killed or cut off; use a current one (2.15.3 was tested)"
        )
    if client.max_payload < _LEAST_PAYLOAD_BYTES:
        trial.warnings.append(
            f"{server}: max_payload is {client.max_payload} bytes, expected at least "
            f"{_LEAST_PAYLOAD_BYTES} (its default is 1 MiB): rows are lost"
        )


async def _try_stream(connection: NatsConnection, max_bytes: int) -> list[str]:
    """Does with a stream of its own what the roles do with those of the journal."""
    config, jetstream = connection.config, connection.jetstream
    name, subject = f"{config.prefix}-check", f"{config.prefix}.check"
    try:
        # A check that was killed may have left it.
        with contextlib.suppress(jetstream_errors.NotFoundError):
            await jetstream.delete_stream(name)
        made = await jetstream.add_stream(
            api.StreamConfig(
                name=name,
                subjects=[subject],
                storage=api.StorageType.FILE,
                num_replicas=config.replicas,
                max_bytes=max_bytes,
            )
        )
        try:
            await _write_and_read(connection, name, subject)
        finally:
            await jetstream.delete_stream(name)
    except NATS_FAILURES as error:
        [server] = config.servers
        if isinstance(error, jetstream_errors.APIError):
            if error.err_code in _NO_PLACE:
                return [
                    f"{server}: {config.table}.replicas is {config.replicas}, but the "
                    f"servers cannot keep so many: {error.description}"
                ]
            if is_full(error):
                return [
                    f"{server}: journal.max_bytes is {max_bytes >> 20} MiB, but the "
                    f"servers have less room: {error.description}"
                ]
        return [connection.sentence(error)]
    limit = (await jetstream.account_info()).limits.max_consumers
    if 0 < limit < _LEAST_CONSUMERS:
        return [
            f"{config.servers[0]}: this account may have {limit} consumers for each "
            f"stream, expected at least {_LEAST_CONSUMERS}: for each reader (store, "
            "groups, alert), and for one that begins again"
        ]
    assert made.created is not None
    ahead_s = made.created.timestamp() - wall_ms() / 1000
    return [*clock_sentences(config.servers[0], ahead_s)]


async def _write_and_read(
    connection: NatsConnection, stream: str, subject: str
) -> None:
    client, jetstream = connection.client, connection.jetstream
    streams = JournalStreams(connection)
    await jetstream.publish(subject, b"check")
    await streams.info(stream)
    await jetstream.get_msg(stream, 1)
    reader = api.ConsumerConfig(durable_name="check", ack_policy=api.AckPolicy.ALL)
    await jetstream.add_consumer(stream, reader)
    await streams.reader_infos(stream)
    inbox = await client.subscribe(client.new_inbox())
    request = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.check"
    await client.publish(request, pull_request(), reply=inbox.subject)
    message = await inbox.next_msg(timeout=_ANSWER_S)
    await inbox.unsubscribe()
    if not message.reply:
        why = (message.headers or {}).get("Description", "no reason")
        raise errors.Error(f"the servers refuse to send: {why}")
    await message.ack_sync(timeout=_ANSWER_S)
    await jetstream.consumer_info(stream, "check")
    await jetstream.purge_stream(stream, seq=2)
    await jetstream.delete_consumer(stream, "check")


def clock_sentences(server: str, ahead_s: float) -> Iterator[str]:
    """If the clock of a server is not that of this machine. Pure."""
    if abs(ahead_s) > _CLOCK_S:
        which = "ahead of" if ahead_s > 0 else "behind"
        yield (
            f"{server}: its clock, or that of the server that leads its streams, is "
            f"{abs(ahead_s):.0f} s {which} this machine's: rows go too early or too "
            "late, and ages are wrong; set the clocks (NTP)"
        )


async def _judge_version(
    connection: NatsConnection, stream: str, log: str, last_seq: int
) -> list[str]:
    """If a newer version of Towpath writes this log: nothing here reads it."""
    try:
        message = await connection.jetstream.get_msg(stream, last_seq)
    except NATS_FAILURES:
        # It is empty, or this user may only read what is delivered.
        return []
    frame = frame_of(message.data or b"")
    if frame is None or frame.version <= VERSION:
        return []
    return [
        f"{', '.join(connection.config.servers)}: the log {log} has frames of version "
        f"{frame.version}, and this Towpath reads versions up to {VERSION}: its rows "
        "wait until this machine is upgraded"
    ]


async def _judge_streams(connection: NatsConnection, max_days: int) -> list[str]:
    """Streams that were made with other settings, or edited: they keep those."""
    streams, config = JournalStreams(connection), connection.config
    found: list[str] = []
    with contextlib.suppress(*NATS_FAILURES):
        for log in await streams.logs():
            stream, subject = streams.stream(log), streams.subject(log)
            info = await streams.info(stream)
            found += stream_differences(
                info["config"], subject, max_days, config.replicas
            )
            last_seq = info["state"]["last_seq"]
            found += await _judge_version(connection, stream, log, last_seq)
        there = set(await streams.names())
        for name in streams.others:
            if name in there:
                settings = (await streams.info(name))["config"]
                replicas = settings.get("num_replicas") or 1
                if replicas != config.replicas:
                    found.append(replicas_sentence(name, replicas, config.replicas))
    return found

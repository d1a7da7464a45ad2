"""Tries the servers of NATS as the settings name them: for `towpath check`."""

from __future__ import annotations

import contextlib
import secrets
import stat

import msgspec
from nats.js import api
from nats.js import errors as jetstream_errors

from collectors.nats.journal_streams import JournalStreams
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection, connected_once
from collectors.nats.nats_errors import NATS_FAILURES, is_full, nats_sentence

_LEAST_PAYLOAD_BYTES = 64 << 10
# With it nothing was lost when the network between servers was cut.
_TESTED = (2, 15)
_NO_PLACE = frozenset({10005, 10052, 10074})


class NatsTrial(msgspec.Struct, frozen=True):
    """Sentences: what cannot work as it is, and what is there. None of it prevents a
    start: the servers may be there, or changed, later."""

    warnings: list[str] = []
    facts: list[str] = []


async def try_nats(config: NatsConfig, max_bytes: int) -> NatsTrial:
    """Connects to each server, and makes a stream for a moment, as large as a log of
    the journal may become. Raises `ValueError` for files that cannot be used."""
    trial = NatsTrial(_judge_secrets(config))
    is_tried = False
    for server in config.servers:
        alone = config.model_copy(update={"servers": (server,)})
        connection = NatsConnection(alone, "check")
        try:
            async with connected_once(connection):
                _judge_server(connection, trial)
                if not is_tried:
                    is_tried = True
                    trial.warnings.extend(await _judge_streams(connection))
                    trial.warnings.extend(await _try_stream(connection, max_bytes))
        except NATS_FAILURES as error:
            trial.warnings.append(connection.sentence(error))
    return trial


def _judge_secrets(config: NatsConfig) -> list[str]:
    """Files of secrets that others than the user and its group can read."""
    files = {
        "nats.password_file": config.password_file,
        "nats.private_key": config.private_key,
    }
    found: list[str] = []
    for setting, path in files.items():
        # A file that is not there is refused when it is read.
        with contextlib.suppress(OSError):
            if path is not None and path.stat().st_mode & 0o007:
                mode = stat.S_IMODE(path.stat().st_mode)
                found.append(
                    f"{setting}: {path} has mode {mode:04o}, expected 0600 or 0640: "
                    "others could read it"
                )
    return found


def _judge_server(connection: NatsConnection, trial: NatsTrial) -> None:
    config, client = connection.config, connection.client
    [server] = config.servers
    version = client.connected_server_version
    text = f"{version.major}.{version.minor}.{version.patch}"
    trial.facts.append(f"{server}: nats-server {text}")
    if config.replicas > 1 and (version.major, version.minor) < _TESTED:
        trial.warnings.append(
            f"{server}: nats-server {text} is not known to be safe with "
            f"nats.replicas = {config.replicas}: 2.9.10 lost acknowledged rows when "
            "the network between servers was cut, 2.15.3 did not; use a current one"
        )
    if client.max_payload < _LEAST_PAYLOAD_BYTES:
        trial.warnings.append(
            f"{server}: max_payload is {client.max_payload} bytes, expected at least "
            f"{_LEAST_PAYLOAD_BYTES} (its default is 1 MiB): rows are lost"
        )


async def _try_stream(connection: NatsConnection, max_bytes: int) -> list[str]:
    config, jetstream = connection.config, connection.jetstream
    name = f"{config.prefix}-check-{secrets.token_hex(4)}"
    try:
        await jetstream.add_stream(
            api.StreamConfig(
                name=name,
                subjects=[f"{config.prefix}.check.{name}"],
                storage=api.StorageType.FILE,
                num_replicas=config.replicas,
                max_bytes=max_bytes,
            )
        )
        await jetstream.delete_stream(name)
    except NATS_FAILURES as error:
        [server] = config.servers
        if isinstance(error, jetstream_errors.APIError):
            if error.err_code in _NO_PLACE:
                return [
                    f"{server}: nats.replicas is {config.replicas}, but the servers "
                    f"cannot keep so many: {error.description}"
                ]
            if is_full(error):
                return [
                    f"{server}: journal.max_bytes is {max_bytes >> 20} MiB, but the "
                    f"servers have less room: {error.description}"
                ]
        return [nats_sentence(error, [server])]
    return []


async def _judge_streams(connection: NatsConnection) -> list[str]:
    """Streams that were made with other settings: they keep those."""
    streams, config = JournalStreams(connection), connection.config
    found: list[str] = []
    with contextlib.suppress(*NATS_FAILURES):
        for log in await streams.logs():
            name = streams.stream(log)
            replicas = (await streams.info(name))["config"].get("num_replicas") or 1
            if replicas != config.replicas:
                found.append(
                    f"the stream {name} has {replicas} replicas, but nats.replicas is "
                    f"{config.replicas}: nats stream edit {name} --replicas "
                    f"{config.replicas}"
                )
    return found

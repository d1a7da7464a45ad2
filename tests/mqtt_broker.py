"""A real mosquitto whose users are a registry's agents, with an ingest on it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from append_doubles import ListAppend
from ingest_council import (
    opened_registry,
    registry_config,
)
from services import Server, mosquitto, running
from waiting import until

from collectors.ingest.broker_files import BrokerFiles, mosquitto_text
from collectors.ingest.ingest_config import (
    BrokerConfig,
    IngestConfig,
    MqttConfig,
    PolicyConfig,
)
from collectors.ingest.mqtt_ingest import MqttIngest
from collectors.ingest.registry import Registry


class Broker:
    """A mosquitto whose users are a registry's agents."""

    def __init__(self, server: Server, files: BrokerFiles, registry: Registry) -> None:
        self.server, self.files, self.registry = server, files, registry


def broker_config(folder: Path) -> BrokerConfig:
    return BrokerConfig(
        password_file=folder / "passwords",
        acl_file=folder / "acl",
        pid_file=folder / "mosquitto.pid",
        more_users=("second",),
        every_s=0.2,
    )


def mqtt_config(folder: Path, port: int, **settings: Any) -> MqttConfig:
    secret = folder / "own-password"
    secret.write_text("a password of the server\n")
    return MqttConfig(
        port=port,
        **{"tls": False, "password_file": secret, "retry_max_s": 1, **settings},
    )


@contextlib.contextmanager
def running_broker(folder: Path) -> Iterator[Broker]:
    config = broker_config(folder)
    server = mosquitto(folder, mosquitto_text(config))
    with opened_registry(folder) as registry:
        files = BrokerFiles(config, mqtt_config(folder, server.port), registry)
        files.write()
        with running(server):
            yield Broker(server, files, registry)


@contextlib.asynccontextmanager
async def ingesting(
    broker: Broker, folder: Path, append: ListAppend, **settings: Any
) -> AsyncIterator[MqttIngest]:
    config = IngestConfig(
        registry=registry_config(folder),
        policy=settings.pop("policy", PolicyConfig()),
        mqtt=mqtt_config(folder, broker.server.port, **settings),
        aside=folder / "aside",
    )
    async with MqttIngest(config, broker.registry, append) as ingest:
        await until(lambda: ingest.connected)
        yield ingest

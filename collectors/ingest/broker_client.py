"""Connections of the server to its MQTT broker: TLS, passwords, and a login check."""

from __future__ import annotations

import logging
import ssl
from enum import Enum
from typing import TYPE_CHECKING, Any

from collectors.ingest.ingest_config import MqttConfig
from probes.wire.report import CREDENTIAL_REFUSED_CODES

if TYPE_CHECKING:
    # A tenth of the start of every command that reads settings.
    import aiomqtt

_CHECK_S = 5.0


class Login(Enum):
    """How a broker answers a CONNECT (MQTT 3.1.1, section 3.2.2.3)."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    AWAY = "away"


def broker_client(
    config: MqttConfig, username: str, password: str | None, **settings: Any
) -> aiomqtt.Client:
    """A client for the broker of `config`; `settings` go to `aiomqtt.Client`."""
    import aiomqtt

    return aiomqtt.Client(
        config.host,
        config.port,
        username=username,
        password=password,
        tls_context=_tls(config),
        logger=_quiet(),
        **settings,
    )


async def check_login(config: MqttConfig, username: str, password: str) -> Login:
    """Whether the broker accepts this user now. `AWAY` if it does not answer, or its
    certificate is not trusted."""
    import aiomqtt

    try:
        client = broker_client(
            config, username, password, identifier=username, timeout=_CHECK_S
        )
        async with client:
            return Login.ACCEPTED
    except aiomqtt.MqttCodeError as error:
        code = getattr(error.rc, "value", error.rc)
        return Login.REFUSED if code in CREDENTIAL_REFUSED_CODES else Login.AWAY
    except (aiomqtt.MqttError, OSError):
        return Login.AWAY


def _tls(config: MqttConfig) -> ssl.SSLContext | None:
    if not config.tls:
        return None
    ca_file = config.ca_file
    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))


def _quiet() -> logging.Logger:
    """The library's log, errors only: Towpath logs each change of state itself."""
    logger = logging.getLogger("towpath.mqtt")
    logger.setLevel(logging.ERROR)
    return logger

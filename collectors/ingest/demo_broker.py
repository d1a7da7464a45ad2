"""A broker in Python for the demo, if mosquitto is not installed. DEMO ONLY.

amqtt speaks only MQTT 3.1.1, does not support shared subscriptions, keeps sessions in
memory and carries about 2,000 messages a second. Its users are the registry's agents
and the server's own, with the same rules as `broker_files.acl_text`.
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass, field
from typing import Any

from amqtt.broker import Broker
from amqtt.contexts import Action
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from collectors.ingest.registry import Registry
from probes.wire.report import ACKS_TOPIC, REPORTS_TOPIC

_START_S = 20


@dataclass
class Users:
    """Who may log in: the agents of `registry`, and the server as `own_user`."""

    registry: Registry
    own_user: str
    own_password: str


@dataclass
class _Config:
    # `Any`: amqtt builds this from a mapping and would take the registry apart.
    users: Any = field(default=None)


class DemoLogin(BaseAuthPlugin):  # type: ignore[misc]
    """Checks user names and passwords for amqtt."""

    Config = _Config

    async def authenticate(self, *, session: Session) -> bool:
        users: Users = self.config.users
        name, password = session.username or "", session.password or ""
        if name == users.own_user:
            return hmac.compare_digest(password.encode(), users.own_password.encode())
        if users.registry.is_behind():
            # Another process of the demo enrols laptops.
            await asyncio.to_thread(users.registry.refresh)
        return users.registry.verify(name, password) is not None


class DemoTopics(BaseTopicPlugin):  # type: ignore[misc]
    """Checks for amqtt which topics a user may publish to or read."""

    Config = _Config

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,
        topic: str | None = None,
        action: Action | None = None,
    ) -> bool:
        users: Users = self.config.users
        name = "" if session is None else session.username or ""
        if name == users.own_user:
            return True
        prefix = REPORTS_TOPIC if action is Action.PUBLISH else ACKS_TOPIC
        return bool(name) and topic == f"{prefix}/{name}"


class DemoBroker:
    """`async with DemoBroker(port, users):` listens on 127.0.0.1."""

    def __init__(self, port: int, users: Users) -> None:
        self._port, self._users = port, users
        self._broker: Broker | None = None

    async def __aenter__(self) -> DemoBroker:
        settings = {"users": self._users}
        self._broker = Broker(
            {
                "listeners": {
                    "default": {"type": "tcp", "bind": f"127.0.0.1:{self._port}"}
                },
                "plugins": {
                    f"{__name__}.DemoLogin": settings,
                    f"{__name__}.DemoTopics": settings,
                },
            }
        )
        async with asyncio.timeout(_START_S):
            await self._broker.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._broker is not None:
            async with asyncio.timeout(_START_S):
                await self._broker.shutdown()

"""The reflector: runs STAMP over UDP, and ndt7 and an echo over TCP."""

from __future__ import annotations

import contextlib
import socket

import structlog

from collectors.reflector.reflector_access import read_secret, stamp_key
from collectors.reflector.reflector_config import ReflectorConfig
from collectors.reflector.stamp_reflector import StampReflector, StampStats
from collectors.reflector.web_server import ReflectorWebServer, WebStats
from probes.wire import ndt7

_log = structlog.get_logger()


class ReflectorService:
    """The reflector runs inside `async with ReflectorService(config)`.

    The constructor raises `SecretRefused`. The start raises `OSError` (the port is in
    use, or below 1024 without the right to it) and `ssl.SSLError`."""

    def __init__(
        self, config: ReflectorConfig, *, test_seconds: float = ndt7.SECONDS
    ) -> None:
        addresses = _usable(config.addresses)
        secret = b"" if config.secret_file is None else read_secret(config.secret_file)
        if config.access == "token" and not secret:
            _log.warning(
                "speed_tests_disabled",
                error="expected secret_file, or access = 'open' for anybody",
            )
        key = stamp_key(secret) if secret else b""
        self._stamp = StampReflector(config, addresses, key)
        self._web = ReflectorWebServer(config, addresses, test_seconds, secret)
        self._running = contextlib.AsyncExitStack()

    @property
    def stamp_port(self) -> int:
        return self._stamp.port

    @property
    def web_port(self) -> int:
        return self._web.port

    @property
    def stamp_stats(self) -> StampStats:
        return self._stamp.stats

    @property
    def web_stats(self) -> WebStats:
        return self._web.stats

    async def __aenter__(self) -> ReflectorService:
        async with contextlib.AsyncExitStack() as starting:
            await starting.enter_async_context(self._stamp)
            await starting.enter_async_context(self._web)
            self._running = starting.pop_all()
        _log.info("reflector_started", stamp=self.stamp_port, web=self.web_port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._running.aclose()


def _usable(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """`addresses` without IPv6 ones, if this machine has no IPv6."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError:
        return tuple(address for address in addresses if ":" not in address)
    return addresses

"""`/metrics` for Prometheus: what Towpath says about itself, on a port of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.registry import Collector
from pydantic import Field

from collectors.strict_model import StrictModel


class MetricsConfig(StrictModel):
    """`port` is that of a process with all roles; one with a single role listens on
    the port after it by its place in poll, ingest, store, alert, web. 0 turns it off.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65529)] = 9468


class MetricsServer:
    """Answers scrapes in a thread of its own; every scrape asks `collector`."""

    def __init__(
        self, config: MetricsConfig, roles: Sequence[str], collector: Collector
    ) -> None:
        order = ("poll", "ingest", "store", "alert", "web")
        self.host = config.host
        self.port = config.port
        if len(roles) < len(order):
            self.port += 1 + order.index(roles[0])
        self._registry = CollectorRegistry(auto_describe=False)
        self._collector = collector

    def __enter__(self) -> Self:
        self._registry.register(self._collector)
        try:
            self._server, self._thread = start_http_server(
                self.port, self.host, self._registry
            )
        except OSError as error:
            raise OSError(
                f"{self.host}:{self.port} cannot be listened on ({error.strerror}): "
                "set metrics.port to a free one, or to 0"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(2)
        self._server.server_close()

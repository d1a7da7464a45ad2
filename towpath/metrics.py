"""`/metrics` for Prometheus, on a port of its own: Towpath's figures about itself, and
the rows that rules evaluate if that is on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.registry import Collector
from pydantic import Field

from collectors.strict_model import StrictModel


class MetricsConfig(StrictModel):
    """`port` is for a process with all roles. A process with one role adds 1 for poll,
    2 for ingest, 3 for store, 4 for alert or 5 for web. 0 turns it off. `rows`: the
    alert role exposes the newest rows that rules evaluate."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65529)] = 9468
    rows: bool = False


class MetricsServer:
    """Answers scrapes in a thread of its own, from `collectors`."""

    def __init__(
        self, config: MetricsConfig, roles: Sequence[str], *collectors: Collector
    ) -> None:
        order = ("poll", "ingest", "store", "alert", "web")
        self.host = config.host
        self.port = config.port
        if len(roles) < len(order):
            self.port += 1 + order.index(roles[0])
        self._registry = CollectorRegistry(auto_describe=False)
        self._collectors = collectors

    def __enter__(self) -> Self:
        for collector in self._collectors:
            self._registry.register(collector)
        try:
            self._server, self._thread = start_http_server(
                self.port, self.host, self._registry
            )
        except OSError as error:
            raise OSError(
                f"cannot listen on {self.host}:{self.port} ({error.strerror}): "
                "set metrics.port to a free port, or to 0"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(2)
        self._server.server_close()

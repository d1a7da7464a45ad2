"""Single runs of the call path and path probes against an address of the test."""

from collections.abc import Callable
from typing import Any

from probes.measure import call_path, path
from probes.wire.policy import CLIENT_TO_EDGE, CallTargets, ReflectorAt
from probes.wire.report import Result


def reflector_at(
    host: str,
    port: int = 862,
    tcp_port: int | None = None,
    key: bytes = b"",
    id: str = "r1",
) -> ReflectorAt:
    """A reflector whose speed test, if it has a `tcp_port`, is on the same host."""
    shown = f"[{host}]" if ":" in host else host
    url = f"ws://{shown}:{tcp_port}" if tcp_port is not None else ""
    return ReflectorAt(id, host, port, url, key.hex())


async def run_call_path(
    reflector: ReflectorAt,
    now_ms: Callable[[], int] = lambda: 0,
    targets: CallTargets = CLIENT_TO_EDGE,
    **stream: Any,
) -> Result:
    """One run with the given fields of `CallStream`."""
    return await call_path.measure(
        reflector,
        now_ms=now_ms,
        stream=call_path.CallStream(**stream),
        targets=targets,
    )


async def run_path(
    reflector: ReflectorAt,
    now_ms: Callable[[], int] = lambda: 0,
    gateway: str | None = None,
    **pacing: Any,
) -> Result:
    """One run with the given fields of `TracePacing`."""
    return await path.measure(
        reflector, now_ms=now_ms, pacing=path.TracePacing(**pacing), gateway=gateway
    )

"""Network interfaces of a laptop, for tests."""

from probes.measure.active_interface import (
    Interface,
)

LAPTOP = Interface(
    "wlp2s0", kind="wlan", driver="iwlwifi", physical=True, up=True, routed=True,
    addresses=("192.168.1.20", "fe80::1"), default_metric=600, gateway="192.168.1.1",
)  # fmt: skip
CABLE = Interface(
    "enp3s0", driver="r8152", physical=True, up=True, routed=True,
    addresses=("10.1.7.3",), default_metric=100, gateway="10.1.7.1",
)  # fmt: skip


def tunnel(name: str = "tun0", **facts: object) -> Interface:
    usual: dict[str, object] = {
        "kind": "tun",
        "up": True,
        "addresses": ("10.99.0.2",),
        "routed": True,
        "default_metric": 50,
    }
    return Interface(name, **{**usual, **facts})  # type: ignore[arg-type]

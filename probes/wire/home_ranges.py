"""Networks that home routers use by default, and phones and computers that share their
connection. An office that uses one of them cannot be told from a home by its address.

As the manufacturers document them: hubs of UK providers (BT, EE, Sky, Virgin Media,
Vodafone, TalkTalk, Three), and Asus, AVM, Eero, Google, Huawei, MikroTik, TP-Link,
Xiaomi.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

COMMON_AT_HOME = tuple(
    ip_network(text)
    for text in (
        "192.168.0.0/23",
        "192.168.2.0/24",
        "192.168.3.0/24",
        "192.168.4.0/22",
        "192.168.8.0/24",
        "192.168.10.0/24",
        "192.168.11.0/24",
        "192.168.31.0/24",
        "192.168.43.0/24",
        "192.168.50.0/24",
        "192.168.68.0/22",
        "192.168.86.0/24",
        "192.168.88.0/24",
        "192.168.100.0/24",
        "192.168.137.0/24",
        "192.168.178.0/24",
        "192.168.254.0/24",
        "10.0.0.0/24",
        "10.0.1.0/24",
        "10.1.1.0/24",
        "10.1.10.0/24",
        "172.16.0.0/24",
        "172.20.10.0/28",
    )
)


def common_at_home(
    network: IPv4Network | IPv6Network,
) -> IPv4Network | IPv6Network | None:
    """Returns the home range that `network` overlaps, None if there is none. Pure."""
    for common in COMMON_AT_HOME:
        if network.version == common.version and network.overlaps(common):
            return common
    return None

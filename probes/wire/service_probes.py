"""The probes of names and web services."""

from __future__ import annotations

from probes.wire.catalogue import Field
from probes.wire.probe import Probe, RunConditions, agent_measurement

# One HTTPS request with a TLS handshake.
_REQUEST_BYTES = 6_000
_LOOKUP_BYTES = 200


def _name_lookup_bytes(conditions: RunConditions) -> int:
    return _LOOKUP_BYTES * conditions.names


def _web_bytes(conditions: RunConditions) -> int:
    return _REQUEST_BYTES * conditions.services


NAME_LOOKUP = Probe(
    measurement=agent_measurement(
        "name_lookup",
        "one DNS query to the resolver in use",
        600,
        Field("lookup_ms", "float", "ms", "time to the answer"),
        Field(
            "resolver",
            "str",
            "1",
            "kind of resolver: gateway, private, public, loopback",
            among=("gateway", "private", "public", "loopback"),
        ),
        Field(
            "resolver_through_vpn", "int", "flag", "1 if it is reached through the VPN"
        ),
        Field("only_ipv6", "int", "flag", "1 if the name has no IPv4 address"),
    ),
    title="DNS lookup",
    about="How long it takes to find the address of a website",
    runner="probes.measure.name_lookup:NameLookupRunner",
    targets="names",
    cost_bytes=_name_lookup_bytes,
    metered_factor=6,
    burst="sign",
    judges_network=True,
)
WEB = Probe(
    measurement=agent_measurement(
        "web",
        "one HTTPS request to a named service, timed by phases",
        600,
        Field("lookup_ms", "float", "ms", "name resolution"),
        Field("connect_ms", "float", "ms", "TCP connection (to the proxy, if any)"),
        Field("proxy_ms", "float", "ms", "the proxy's own connection (CONNECT)"),
        Field("tls_ms", "float", "ms", "TLS handshake"),
        Field("first_byte_ms", "float", "ms", "from the request to the first byte"),
        Field("total_ms", "float", "ms", "all phases"),
        Field("status", "int", "1", "HTTP status"),
        Field(
            "proxy",
            "str",
            "1",
            "environment, manual, pac or wpad; never its name",
            among=("environment", "manual", "pac", "wpad"),
        ),
    ),
    title="web service",
    about="How long a website that the council has chosen takes to answer",
    runner="probes.measure.web_round:WebRunner",
    targets="services",
    cost_bytes=_web_bytes,
    metered_factor=6,
    burst="sign",
    judges_network=True,
)

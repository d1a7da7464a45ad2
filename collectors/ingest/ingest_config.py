"""Settings of ingest: the `[ingest]` part of towpath.toml."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from collectors.estate.opening_hours import Closes, Days, Opens, check_not_empty
from collectors.http.server import Certificate, ServerLimits
from collectors.ingest.enrolment_tokens import RING
from collectors.nats.nats_config import NatsConfig
from collectors.strict_model import IpNetwork, StrictModel
from probes.wire.catalogue import did_you_mean
from probes.wire.measurements import MEASUREMENTS

Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class RegistryConfig(StrictModel):
    """`key_file` turns device ids into pseudonyms. It is separate from the registry, so
    that a copy of one does not include the other. A laptop that was not seen for
    `unseen_days` is deleted. `machine_ids`: keep a keyed hash of each computer's
    number, by which one that was set up again or copied is noticed."""

    path: Path = Path("var/state/agents.sqlite")
    key_file: Path = Path("var/keys/pseudonym.key")
    unseen_days: Annotated[int, Field(ge=30, le=3660)] = 400
    machine_ids: bool = True

    @property
    def stop_orders(self) -> Path:
        """The file of signed orders to stop, beside the registry."""
        return self.path.with_name("stop-orders")


class HttpsConfig(StrictModel):
    """`plaintext` is only for a TLS proxy on the same machine.

    `trusted_proxies` are the addresses whose `X-Forwarded-For` is used. A renewed
    certificate is loaded within `certificate_look_s`.
    """

    host: str = "0.0.0.0"
    port: Port = 8443
    certificate: Path | None = None
    private_key: Path | None = None
    plaintext: bool = False
    trusted_proxies: tuple[IpNetwork, ...] = ()
    max_connections: Count = 4000
    max_strangers: Count = 1000
    strangers_per_address: Count = 512
    connections_per_agent: Count = 8
    handshakes_per_s: Annotated[float, Field(gt=0)] = 250
    refusals_per_s: Annotated[float, Field(gt=0)] = 200
    max_uploads: Count = 256
    upload_s: Seconds = 20
    header_s: Seconds = 10
    certificate_look_s: Seconds = 60

    def server_limits(self) -> ServerLimits:
        """The limits of the server. Behind a proxy all connections come from one
        address, so the proxy has to count by address."""
        return ServerLimits(
            connections=self.max_connections,
            strangers=self.max_strangers,
            strangers_per_address=self.max_connections
            if self.plaintext
            else self.strangers_per_address,
            per_name=self.connections_per_agent,
            handshakes_per_s=self.handshakes_per_s,
            refusals_per_s=self.refusals_per_s,
            head_s=self.header_s,
        )

    def pem_files(self) -> Certificate | None:
        """The certificate for TLS; None behind a proxy."""
        if self.certificate is None or self.private_key is None or self.plaintext:
            return None
        return Certificate(self.certificate, self.private_key, self.certificate_look_s)

    @model_validator(mode="after")
    def _has_tls(self) -> Self:
        if self.plaintext:
            if self.host not in {"127.0.0.1", "::1", "localhost"}:
                raise ValueError(
                    f"plaintext on {self.host!r} would show agents' secrets to the "
                    "network; expected host = '127.0.0.1' behind a TLS proxy"
                )
        elif self.certificate is None or self.private_key is None:
            raise ValueError(
                "expected certificate and private_key (paths of PEM files)"
            )
        return self


class MqttConfig(StrictModel):
    """`shared_group` makes several ingest processes share the reports; the broker must
    support shared subscriptions, as mosquitto does. `password_file` has one line; if
    Towpath writes the broker's users (`broker`), it creates this file."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8883
    tls: bool = True
    ca_file: Path | None = None
    username: str = "towpath-ingest"
    password_file: Path | None = None
    client_id: str = "towpath-ingest"
    shared_group: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$")] = ""
    max_waiting: Count = 5000
    keepalive_s: Annotated[int, Field(ge=5, le=600)] = 30
    retry_min_s: Seconds = 0.5
    retry_max_s: Seconds = 30


class BrokerConfig(StrictModel):
    """The files of a mosquitto broker that Towpath writes: its users, and what they may
    publish. `pid_file`: the broker to signal (SIGHUP) when they change.

    `more_users` are the user names of further ingest processes that share the work;
    they have the same rights and the same password as `mqtt.username`.
    """

    password_file: Path
    acl_file: Path
    pid_file: Path | None = None
    more_users: tuple[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")], ...
    ] = ()
    every_s: Seconds = 2


class LimitsConfig(StrictModel):
    """Limits on what agents can make the server do."""

    in_flight: Count = 256
    requests_per_s: Annotated[float, Field(gt=0)] = 2
    requests_burst: Count = 300
    bytes_per_s: Annotated[float, Field(gt=0)] = 100_000
    bytes_burst: Count = 20_000_000
    reports_per_s: Annotated[float, Field(gt=0)] = 10
    reports_burst: Count = 5000
    remembered_ids: Count = 100_000
    max_ahead_s: Annotated[int, Field(ge=60)] = 86_400
    kept_aside: Count = 200


RingName = Annotated[str, Field(pattern=f"^{RING.pattern}$")]
HostName = Annotated[str, Field(min_length=1, max_length=253)]
_PROBES = tuple(measurement.name for measurement in MEASUREMENTS)


def check_probe(name: str) -> str:
    """Returns `name`, or raises `ValueError` if no probe is called that."""
    if name not in _PROBES:
        raise ValueError(
            f"no probe is called {name!r}{did_you_mean(name, _PROBES)}"
            f" (there are {', '.join(_PROBES)})"
        )
    return name


Cadences = dict[
    Annotated[str, AfterValidator(check_probe)],
    Annotated[int, Field(ge=0, le=31_536_000)],
]


class ServiceConfig(StrictModel):
    name: Annotated[str, Field(min_length=1, max_length=64)]
    url: Annotated[str, Field(pattern=r"^https?://\S+$", max_length=500)]


class TeamsRelayConfig(StrictModel):
    """The Teams relay that agents test by STUN; an empty `host` switches this off.
    `allocate` allows TURN Allocate requests if Binding requests are not answered."""

    host: Annotated[str, Field(max_length=253)] = "world.tr.teams.microsoft.com"
    port: Annotated[int, Field(ge=1, le=65535)] = 3478
    packets: Annotated[int, Field(ge=1, le=500)] = 50
    allocate: bool = False


class TargetsConfig(StrictModel):
    """The limits of a good call: Microsoft's 2018 table, from the client to Microsoft's
    edge. Use stricter ones for a council's own offices."""

    rtt_ms: Annotated[float, Field(gt=0)] = 100.0
    burst_loss_ratio: Annotated[float, Field(gt=0, le=1)] = 0.10
    loss_ratio: Annotated[float, Field(gt=0, le=1)] = 0.01
    jitter_ms: Annotated[float, Field(gt=0)] = 30.0
    reorder_ratio: Annotated[float, Field(gt=0, le=1)] = 0.0005


class OnlineCheckConfig(StrictModel):
    """A page with a known answer; another answer comes from a sign-in page."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    url: Annotated[str, Field(pattern=r"^https?://\S+$", max_length=500)]
    status: Annotated[int, Field(ge=200, le=599)] = 204
    text: Annotated[str, Field(max_length=200)] = ""


class WorkloadConfig(StrictModel):
    """Networks of a Microsoft 365 workload, instead of the agents' built-in ones."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    networks: Annotated[tuple[IPv4Network | IPv6Network, ...], Field(max_length=256)]


class RingPolicyConfig(StrictModel):
    """What agents measure, apart from the reflectors and the beacon in the estate.
    Cadences: seconds by probe name; 0 is never."""

    teams_relay: TeamsRelayConfig = TeamsRelayConfig()
    targets: TargetsConfig = TargetsConfig()

    services: Annotated[tuple[ServiceConfig, ...], Field(max_length=24)] = ()
    microsoft_365: bool = True
    optimize: Annotated[tuple[WorkloadConfig, ...], Field(max_length=16)] = ()
    online_checks: Annotated[tuple[OnlineCheckConfig, ...], Field(max_length=4)] = ()
    names: Annotated[tuple[HostName, ...], Field(max_length=32)] = ()
    cadence_s: Cadences = Field(default_factory=dict)
    metered_cadence_s: Cadences = Field(default_factory=dict)
    budget_bytes_per_day: Annotated[int, Field(ge=0)] = 25_000_000
    metered_budget_bytes_per_day: Annotated[int, Field(ge=0)] = 5_000_000
    budget_bytes_per_month: Annotated[int, Field(ge=0)] = 750_000_000
    metered_budget_bytes_per_month: Annotated[int, Field(ge=0)] = 150_000_000
    speed_test_bytes_per_month: Annotated[int, Field(ge=0)] = 1_000_000_000
    opens: Opens = "00:00"
    closes: Closes = "24:00"
    days: Days = (0, 1, 2, 3, 4, 5, 6)
    longest_pause_s: Annotated[int, Field(ge=0, le=31_536_000)] = 86_400
    hurry: bool = True
    report_s: Annotated[int, Field(ge=10)] = 300
    credential_days: Annotated[int, Field(ge=0, le=3650)] = 30

    @model_validator(mode="after")
    def _measures_at_some_time(self) -> Self:
        check_not_empty(self.opens, self.closes)
        return self


class PolicyConfig(RingPolicyConfig):
    """`rings` has what is different for the laptops of a ring. `stop_key`: the public
    key by which agents know an order to stop, from `towpath fleet stop-key`.
    `reflector_secret_file`: the reflectors' `secret_file`."""

    rings: Annotated[dict[RingName, RingPolicyConfig], Field(max_length=32)] = Field(
        default_factory=dict
    )
    stop_key: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    reflector_secret_file: Path | None = None

    @model_validator(mode="after")
    def _rings_measure_at_some_time(self) -> Self:
        for ring in self.rings:
            merged = self.for_ring(ring)
            try:
                check_not_empty(merged.opens, merged.closes)
            except ValueError as error:
                raise ValueError(f"with the ring {ring}: {error}") from None
        return self

    def for_ring(self, ring: str) -> RingPolicyConfig:
        """These settings, with what the ring sets instead. Of a table, such as
        `cadence_s`, it sets single keys; a list replaces the list."""
        different = self.rings.get(ring)
        return self if different is None else _merged(self, different)

    def of_every_ring(self) -> list[RingPolicyConfig]:
        """The settings of laptops without a ring, and those of each ring."""
        return [self, *(self.for_ring(ring) for ring in self.rings)]


_Part = TypeVar("_Part", bound=StrictModel)


def _merged(base: _Part, different: StrictModel) -> _Part:
    changed: dict[str, Any] = {}
    for name in different.model_fields_set:
        before, value = getattr(base, name), getattr(different, name)
        if isinstance(before, StrictModel):
            value = _merged(before, value)
        elif isinstance(before, dict):
            value = {**before, **value}
        changed[name] = value
    return base.model_copy(update=changed)


NodeName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,29}$")]


class IngestConfig(StrictModel):
    """`aside` keeps the last few bodies that could not be read. `providers` is a CSV
    file of `prefix,provider`. `anonymous` accepts reports without a credential: for
    trials only, never for people's laptops.

    `dmz`: this is a DMZ node: `[nats]` is the server beside it, which has what it is to
    know of laptops; after `dmz_list_days` without the inside no laptop is let in.
    `dmz_nodes`: inside, the servers of such nodes by name.
    `site_nodes`: those of sites whose pollers keep their rows there."""

    registry: RegistryConfig = RegistryConfig()
    https: HttpsConfig | None = None
    mqtt: MqttConfig | None = None
    broker: BrokerConfig | None = None
    limits: LimitsConfig = LimitsConfig()
    policy: PolicyConfig = PolicyConfig()
    aside: Path = Path("var/state/aside/ingest")
    providers: Path | None = None
    anonymous: bool = False
    dmz: bool = False
    dmz_list_days: Annotated[float, Field(gt=0, le=30)] = 7
    dmz_nodes: dict[NodeName, NatsConfig] = Field(default_factory=dict)
    site_nodes: dict[NodeName, NatsConfig] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_inside_or_outside(self) -> Self:
        if self.dmz and (self.dmz_nodes or self.site_nodes):
            raise ValueError(
                "expected dmz on the DMZ node, dmz_nodes and site_nodes inside, never "
                "both"
            )
        if both := sorted(self.dmz_nodes.keys() & self.site_nodes.keys()):
            # Rows about their streams have the name alone.
            raise ValueError(
                f"{both[0]!r} is in dmz_nodes and in site_nodes; expected another name "
                "for one of them"
            )
        for name, node in self.dmz_nodes.items():
            node.set_table(f"ingest.dmz_nodes.{name}")
        for name, node in self.site_nodes.items():
            node.set_table(f"ingest.site_nodes.{name}")
        return self

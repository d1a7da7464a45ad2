"""What the council has its agents measure: `GET /v1/policy`.

One JSON document for each agent, fetched at start and then every `refresh_s` (with
`If-None-Match`: 304 if nothing has changed). An agent that cannot fetch it keeps the
last one; an agent that never had one measures only the laptop. Fields are only ever
added. An agent ignores those that it does not know, so `decode` is lenient on purpose.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from probes.wire.daily_hours import minute_of, within
from probes.wire.ndt7 import with_token

MAX_BODY_BYTES = 200_000

# What `hurry` adds: at most so many bursts a day, each with a short round at these
# times after its start.
BURSTS_PER_DAY = 3
BURST_ROUNDS_MS = (30_000, 120_000, 300_000)

# Of at most 2 kB each.
MAX_ORDERS = 32
MAX_FREEZES = 64

Seconds = Annotated[int, msgspec.Meta(ge=0, le=31_536_000)]
Amount = Annotated[float, msgspec.Meta(gt=0)]
Bytes = Annotated[int, msgspec.Meta(ge=0)]
Clock = Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]
Weekday = Annotated[int, msgspec.Meta(ge=0, le=6)]
Url = Annotated[str, msgspec.Meta(max_length=500)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Host = Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
Subnet = Annotated[str, msgspec.Meta(min_length=3, max_length=49)]


class CallTargets(msgspec.Struct, frozen=True):
    """What a call is judged by: Microsoft's 2018 table, client to Microsoft's edge. A
    council may set stricter targets. A target is met if the value is *below* it.

    Bursts are judged in any 200 ms and loss in any 15 s, or over the whole run if it is
    shorter. At 50 packets a second a window of 200 ms holds ten packets: one lost
    packet is 10 % of it, but not a burst, so a burst also needs `burst_packets`.
    Reordering is judged over at least `reorder_least` packets: 0.05 % of fewer is less
    than one packet.
    """

    rtt_ms: Amount = 100.0
    burst_loss_ratio: Amount = 0.10
    burst_packets: Annotated[int, msgspec.Meta(ge=1)] = 2
    burst_ms: Amount = 200.0
    loss_ratio: Amount = 0.01
    loss_ms: Amount = 15_000.0
    jitter_ms: Amount = 30.0
    reorder_ratio: Amount = 0.0005
    reorder_least: Annotated[int, msgspec.Meta(ge=1)] = 2000


CLIENT_TO_EDGE = CallTargets()


class ReflectorAt(msgspec.Struct, frozen=True):
    """The far end of call path and speed tests; without an `ndt7_url` there are no
    speed tests.

    With a `stamp_key`, in hexadecimal, STAMP runs in its authenticated mode. `token`
    allows this laptop to run a speed test; it changes every hour.
    """

    id: Word
    host: Host
    stamp_port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 862
    ndt7_url: Url = ""
    stamp_key: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?$")] = ""
    token: Annotated[str, msgspec.Meta(max_length=200)] = ""

    @property
    def test_url(self) -> str:
        """`ndt7_url` with the token in its query."""
        return with_token(self.ndt7_url, self.token)

    @property
    def tcp_port(self) -> int | None:
        """The TCP port of `ndt7_url`, if that is on the same host: if it answers and
        UDP does not, UDP is blocked and the reflector is not down."""
        if not self.ndt7_url:
            return None
        try:
            parts = urlsplit(self.ndt7_url)
            port = parts.port or (443 if parts.scheme in {"wss", "https"} else 80)
        except ValueError:
            return None
        return port if parts.hostname == self.host.lower() else None


# The `target` of its results.
TEAMS_TARGET = "teams"


class TeamsRelay(msgspec.Struct, frozen=True):
    """The Teams relay that gets STUN requests; none if `host` is empty. `packets`: how
    many in a run. `allocate` allows TURN Allocate requests if Binding requests are not
    answered."""

    host: Annotated[str, msgspec.Meta(max_length=253)] = ""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 3478
    packets: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    allocate: bool = False


class MediaEdgeAt(msgspec.Struct, frozen=True):
    """Where the vendor of a team's telephony takes its calls, and how it is asked. Only
    `name` is ever reported, as the `target`."""

    name: Word
    host: Host
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    over: Literal["stun", "tcp", "tls"]


class OnlineCheck(msgspec.Struct, frozen=True):
    """A page whose answer is known: a different answer is a sign-in page. It is only
    requested after a service has failed. `text` is part of the body."""

    name: Word
    url: Url
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 204
    text: Annotated[str, msgspec.Meta(max_length=200)] = ""


class GatewayAt(msgspec.Struct, frozen=True):
    """A VPN gateway's public address, to measure the connection outside the tunnel."""

    host: Host
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 443


class Workload(msgspec.Struct, frozen=True):
    """The networks of a workload of Microsoft 365, as CIDR."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    networks: Annotated[tuple[Subnet, ...], msgspec.Meta(max_length=256)] = ()


class Office(msgspec.Struct, frozen=True):
    """An office's own networks, as CIDR."""

    site: Word
    subnets: Annotated[tuple[Subnet, ...], msgspec.Meta(max_length=256)] = ()


class Incident(msgspec.Struct, frozen=True):
    """A known problem that this laptop's user may notice."""

    says: Annotated[str, msgspec.Meta(max_length=200)]
    since_ms: Annotated[int, msgspec.Meta(ge=0)]


class SpeedTestFreeze(msgspec.Struct, frozen=True):
    """A time without speed tests, such as a live event: none from laptops in the office
    `site`, and none against these reflectors, wherever the laptop is."""

    site: Word
    from_ms: Annotated[int, msgspec.Meta(ge=0)]
    until_ms: Annotated[int, msgspec.Meta(ge=0)]
    reflectors: Annotated[tuple[Word, ...], msgspec.Meta(max_length=16)] = ()

    def applies(self, site: str, reflector: str, now_ms: int) -> bool:
        """Returns whether it is in force for a test from `site` to `reflector`."""
        is_near = site == self.site or reflector in self.reflectors
        return is_near and self.from_ms <= now_ms < self.until_ms


class Service(msgspec.Struct, frozen=True):
    """An HTTPS service to measure. Only `name` is ever reported, as the `target`."""

    name: Word
    url: Url


class MeasuringHours(msgspec.Struct, frozen=True):
    """When the agent measures, in the laptop's own time; Monday 0 … Sunday 6.

    Outside these hours it only sends what it has. It learns nothing of the user's
    evening.
    """

    opens: Clock = "00:00"
    closes: Clock = "24:00"
    days: tuple[Weekday, ...] = (0, 1, 2, 3, 4, 5, 6)

    def allow(self, weekday: int, minute: int) -> bool:
        """Returns True if `minute` (of the day) of `weekday` is within these hours.

        If `opens` is after `closes` the hours cross midnight; the night belongs to the
        day it began on.
        """
        opens, closes = minute_of(self.opens), minute_of(self.closes)
        return within(opens, closes, self.days, weekday, minute)


class Policy(msgspec.Struct, frozen=True):
    """Targets, cadences and limits.

    `cadence_s` and `metered_cadence_s` are the seconds between two runs, by probe name;
    a probe that is absent runs at its catalogue period, 0 means never. The byte budgets
    are for everything that the agent sends and receives in a day and in a calendar
    month (UTC), on ordinary and on metered connections, except speed tests, which have
    their own; 0 means no limit. `names` are looked up by the name lookup probe.
    `targets` judge a call. `beacon_url` answers only inside the council's network;
    `offices` are its networks, in case the beacon does not answer. `vpn_gateways` are
    for measuring outside the tunnel. `optimize` replaces the agent's own list of
    Microsoft 365 networks. `longest_pause_s`: how long a user may pause. `hurry`: a few
    more rounds when things turn bad. `incidents`: known problems, which the user sees.
    `no_speed_tests`: when and where none are run.
    `credential_days`: how old the laptop's secret may get before it asks for a new one;
    0: as old as it likes. `ring`: the laptop's part of a roll-out.
    `stop_key`: the public key of stop orders; `orders`: these, one line each
    (`wire/stop_order.py`). `version`: a short text that changes when the plan does.
    """

    reflectors: Annotated[tuple[ReflectorAt, ...], msgspec.Meta(max_length=16)] = ()
    teams_relay: TeamsRelay = TeamsRelay()
    media_edges: Annotated[tuple[MediaEdgeAt, ...], msgspec.Meta(max_length=8)] = ()
    targets: CallTargets = CLIENT_TO_EDGE
    services: Annotated[tuple[Service, ...], msgspec.Meta(max_length=32)] = ()
    online_checks: Annotated[tuple[OnlineCheck, ...], msgspec.Meta(max_length=4)] = ()
    names: Annotated[tuple[Host, ...], msgspec.Meta(max_length=32)] = ()
    beacon_url: Url = ""
    offices: Annotated[tuple[Office, ...], msgspec.Meta(max_length=1_000)] = ()
    vpn_gateways: Annotated[tuple[GatewayAt, ...], msgspec.Meta(max_length=16)] = ()
    optimize: Annotated[tuple[Workload, ...], msgspec.Meta(max_length=16)] = ()
    cadence_s: dict[str, Seconds] = {}
    metered_cadence_s: dict[str, Seconds] = {}
    budget_bytes_per_day: Bytes = 25_000_000
    metered_budget_bytes_per_day: Bytes = 5_000_000
    budget_bytes_per_month: Bytes = 750_000_000
    metered_budget_bytes_per_month: Bytes = 150_000_000
    speed_test_bytes_per_month: Bytes = 1_000_000_000
    hours: MeasuringHours = MeasuringHours()
    longest_pause_s: Seconds = 86_400
    hurry: bool = True
    incidents: Annotated[tuple[Incident, ...], msgspec.Meta(max_length=16)] = ()
    no_speed_tests: Annotated[
        tuple[SpeedTestFreeze, ...], msgspec.Meta(max_length=MAX_FREEZES)
    ] = ()
    report_s: Seconds = 300
    # 0 would be never again.
    refresh_s: Annotated[int, msgspec.Meta(ge=1, le=31_536_000)] = 3600
    credential_days: Annotated[int, msgspec.Meta(ge=0, le=3650)] = 0
    ring: Annotated[str, msgspec.Meta(max_length=64)] = ""
    stop_key: Annotated[str, msgspec.Meta(max_length=64)] = ""
    orders: Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_ORDERS)] = ()
    version: Annotated[str, msgspec.Meta(max_length=64)] = ""

    def report_every_s(self, metered: bool) -> int:
        """Returns the seconds between two deliveries on this kind of connection."""
        return self.report_s * (3 if metered else 1)

    @property
    def speed_test_reflector(self) -> ReflectorAt | None:
        """The first reflector that takes speed tests; None if none does."""
        return next((r for r in self.reflectors if r.ndt7_url), None)

    def frozen_until_ms(self, site: str, now_ms: int) -> int | None:
        """Returns until when a laptop at `site` runs no speed test; None if it may."""
        to = self.speed_test_reflector
        reflector = "" if to is None else to.id
        return max(
            (
                freeze.until_ms
                for freeze in self.no_speed_tests
                if freeze.applies(site, reflector, now_ms)
            ),
            default=None,
        )

    def plan(self) -> Policy:
        """Returns the policy without what changes by the hour and affects no plan."""
        return msgspec.structs.replace(
            self,
            incidents=(),
            no_speed_tests=(),
            version="",
            reflectors=tuple(
                msgspec.structs.replace(reflector, token="")
                for reflector in self.reflectors
            ),
        )


class Beacon(msgspec.Struct, frozen=True):
    """The beacon's answer: the estate id of the office that the laptop is in, and (if
    it is not a static file) the address that the request came from."""

    site: Word
    seen: Annotated[str, msgspec.Meta(max_length=64)] = ""


def decode(body: bytes) -> Policy:
    """Returns the policy in `body`. Raises `msgspec.ValidationError` with the field
    that is wrong, or its base `msgspec.DecodeError` if it is not JSON, not UTF-8 or too
    long."""
    if len(body) > MAX_BODY_BYTES:
        raise msgspec.DecodeError(
            f"{len(body)} bytes of policy, expected at most {MAX_BODY_BYTES}"
        )
    try:
        return msgspec.json.decode(body, type=Policy)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None

"""What the council's server tells its agents: `GET /v1/policy` (JSON).

Readers take unknown fields silently, so that an older agent understands a newer
server; every text and list is bounded, since it comes over a network. Everything
measured against is named here: an agent measures nothing of its own choosing.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from probes.catalogue import did_you_mean
from probes.measurements import MEASUREMENTS

MAX_BODY_BYTES = 200_000

_PROBES = tuple(each.name for each in MEASUREMENTS)
_Id = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
_Host = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.:-]{1,253}$")]
_Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s]{1,1000}$")]
_WebSocket = Annotated[str, msgspec.Meta(pattern=r"^$|^(wss?|https?)://[^\s]{1,1000}$")]
_BeaconUrl = Annotated[str, msgspec.Meta(pattern=r"^$|^https://[^\s]{1,1000}$")]
_Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
_Clock = Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]
_Day = Annotated[int, msgspec.Meta(ge=0, le=6)]
_Seconds = Annotated[int, msgspec.Meta(ge=10, le=7 * 86_400)]


class Reflector(msgspec.Struct, frozen=True):
    """The far end of the call path and bandwidth probes."""

    id: _Id
    host: _Host
    stamp_port: _Port = 862
    ndt7_url: _WebSocket = ""


class Service(msgspec.Struct, frozen=True):
    """A web service to time; `name` becomes the tag `target`."""

    name: _Id
    url: _Url


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When measuring is allowed, by the laptop's own clock; Monday 0 … Sunday 6.

    `opens` after `closes` means over midnight; the same means all day.
    """

    opens: _Clock = "00:00"
    closes: _Clock = "24:00"
    days: Annotated[tuple[_Day, ...], msgspec.Meta(min_length=1, max_length=7)] = (
        0,
        1,
        2,
        3,
        4,
        5,
        6,
    )

    def allow(self, weekday: int, minute: int) -> bool:
        """True where `minute` (of the day) of `weekday` is within these hours."""
        opens, closes = _minutes(self.opens), _minutes(self.closes)
        if opens < closes:
            return weekday in self.days and opens <= minute < closes
        if minute >= opens:
            return weekday in self.days
        # After midnight the hours belong to the day they began on.
        return minute < closes and (weekday - 1) % 7 in self.days


class Policy(msgspec.Struct, frozen=True):
    """What to measure, against what, how often and when.

    `cadence_s`: seconds between runs by probe (absent: the catalogue's period);
    `budget_bytes_per_month`: for speed tests, 0 switches them off;
    `beacon_url`: an HTTPS address that answers only inside an office, with
    `{"site": "<estate id>"}`.
    """

    reflectors: Annotated[tuple[Reflector, ...], msgspec.Meta(max_length=16)] = ()
    services: Annotated[tuple[Service, ...], msgspec.Meta(max_length=32)] = ()
    names: Annotated[tuple[_Host, ...], msgspec.Meta(max_length=32)] = ()
    beacon_url: _BeaconUrl = ""
    cadence_s: Annotated[dict[str, _Seconds], msgspec.Meta(max_length=64)] = {}
    budget_bytes_per_month: Annotated[int, msgspec.Meta(ge=0)] = 500_000_000
    hours: Hours = Hours()


class Beacon(msgspec.Struct, frozen=True):
    """What the beacon answers: the office the laptop stands in."""

    site: _Id


class BadPolicy(ValueError):
    """A policy that cannot be used; the text says where and what was expected."""


def decode_policy(body: bytes) -> Policy:
    """The policy in `body`. `BadPolicy` where it is not one."""
    if len(body) > MAX_BODY_BYTES:
        raise BadPolicy(f"the policy is {len(body)} bytes, at most {MAX_BODY_BYTES}")
    try:
        return msgspec.json.decode(body, type=Policy)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadPolicy(f"the server's policy is not usable: {error}") from None


def unknown_probes(policy: Policy) -> list[str]:
    """A sentence for every cadence of a probe this agent does not have.

    Not an error: a newer server may know more probes than an older agent.
    """
    return [
        f"cadence_s: no probe is called {name!r}{did_you_mean(name, _PROBES)}"
        for name in policy.cadence_s
        if name not in _PROBES
    ]


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)

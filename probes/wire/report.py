"""The wire contract between agents and the council's server.

An agent sends a JSON list of `Report`s, over HTTPS (`POST /v1/reports`) or MQTT
(`towpath/v1/reports/<agent>`, QoS 1). It may be compressed with gzip (HTTP:
`Content-Encoding: gzip`; MQTT: the payload begins with gzip's magic number). The server
answers with one `Receipt` (the HTTP response, or `towpath/v1/acks/<agent>`) once the
journal has the reports on disk; only then may the agent forget them. A broker's PUBACK
does not count. A report that arrives twice changes nothing: its results keep their
times.

A `ReportRefusal` with an empty id is about a report whose id could not be read, or over
MQTT about the whole message. HTTP 429 and 503 come with Retry-After. 401 means that the
laptop must be enrolled again. The body of every error is `{"why": one sentence}`.

Agents and server are updated at different times. Within a version, fields, measurements
and values of closed lists are only ever added; a reader ignores those that it does not
know. Anything else is a new version. A server reads its own version and the one before.
It refuses a report of another version with the reason `version`, and the agent keeps it
until the server has been updated (docs/decisions/026-report-versions.md).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from probes.wire.failure import Outcome, state_number
from probes.wire.sample import Sample, Value

VERSION = 1
# A server reads its own version and the one before.
READ_VERSIONS = range(max(1, VERSION - 1), VERSION + 1)
MAX_BODY_BYTES = 1_000_000
MAX_REPORTS = 500
MAX_RESULTS = 200
MAX_VALUES = 64
# The header that says why a credential is refused, and what it says of a copied one.
REFUSAL, USED_TWICE = "Towpath-Refusal", "used-twice"
REPORTS_TOPIC = "towpath/v1/reports"
ACKS_TOPIC = "towpath/v1/acks"
# By these a broker refuses a user name or password: CONNACK return codes of MQTT 3.1.1
# (section 3.2.2.3), reason codes of MQTT 5 (section 3.2.2.2).
CREDENTIAL_REFUSED_CODES = frozenset({4, 5, 134, 135})

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Key = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Text = Annotated[str, msgspec.Meta(max_length=200)]
Place = Literal["office", "home", "elsewhere", "unknown"]
Connection = Literal["wired", "wifi", "mobile", "unknown"]
Vpn = Literal["up", "down", "absent", "unknown"]
# The year 2100: a later time is an error.
LAST_MS = 4_102_444_800_000
TimeMs = Annotated[int, msgspec.Meta(ge=0, le=LAST_MS)]


class Result(msgspec.Struct, frozen=True):
    """The result of one probe at one time.

    `probe` is the name of a measurement of the catalogue, `version` the version of the
    probe's method, `values` the fields that were measured, `target` what it was
    measured against (a role such as `reflector`, never a URL that the user chose), and
    `cost_bytes` the network data used, sent and received.
    """

    probe: Name
    version: int
    time_ms: TimeMs
    outcome: Outcome
    target: Text = ""
    values: Annotated[dict[Name, Value], msgspec.Meta(max_length=MAX_VALUES)] = {}
    cost_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0


class Whereabouts(msgspec.Struct, frozen=True):
    """Where the laptop was when it measured: coarse on purpose, never an address."""

    place: Place = "unknown"
    site: Text = ""
    connection: Connection = "unknown"
    vpn: Vpn = "unknown"


class Report(msgspec.Struct, frozen=True):
    """The results of an agent since its last report."""

    version: Annotated[int, msgspec.Meta(ge=1, le=1_000)]
    id: Key
    agent: Key
    sent_ms: TimeMs
    software: Text
    whereabouts: Whereabouts
    results: Annotated[tuple[Result, ...], msgspec.Meta(max_length=MAX_RESULTS)]


class ReportRefusal(msgspec.Struct, frozen=True):
    """Why the server refused one report. Sending it again does not help, unless it was
    refused for its version. `reason` is one word, empty from older servers."""

    id: str
    why: str
    reason: str = ""

    @property
    def is_for_version(self) -> bool:
        """Whether the server may accept it after an update."""
        # Older servers have no `reason`; their sentence begins with it.
        return (self.reason or self.why.partition(":")[0]) == "version"


class Receipt(msgspec.Struct, frozen=True):
    """The reports that the server has made durable, which the agent may forget.

    `policy` is the version of the policy that the server has for this agent, empty
    from older servers: an agent with another one fetches it.
    """

    accepted: tuple[str, ...]
    refused: tuple[ReportRefusal, ...] = ()
    policy: str = ""


# A digest of the computer's number (`machine_number`); empty if it is not known.
MachineDigest = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?$")]


class Enrolment(msgspec.Struct, frozen=True):
    """`POST /v1/enrol`: a laptop enrols with a token from its council.

    Without a token and signed in (HTTP Basic), it asks for an identity of its own,
    because its disk was copied from the laptop that the credential belongs to. HTTP 409
    means that `device` belongs to another computer: it enrols with another one. `ring`
    is the one that its installer was given, if any.
    """

    token: Text
    device: Text
    machine: MachineDigest = ""
    ring: Text = ""


class CredentialWish(msgspec.Struct, frozen=True):
    """`POST /v1/credential`, signed in: the laptop asks for a new secret. The one it
    has stays valid until it signs in to `POST /v1/credential/confirm` with the new
    one."""

    machine: MachineDigest = ""


class AgentCredential(msgspec.Struct, frozen=True):
    """The answer to an enrolment: the laptop's pseudonym and its secret.

    `agent` is a keyed hash of the device id; the key never leaves the server.
    `stop_key` is the public key of stop orders, empty if the council has none.
    """

    agent: str
    secret: str
    home_site: str = ""
    stop_key: str = ""


def moved(report: Report, by_ms: int) -> Report:
    """Returns `report` made `by_ms` later (negative: earlier). Pure."""
    return msgspec.structs.replace(
        report,
        sent_ms=_in_range(report.sent_ms + by_ms),
        results=tuple(
            msgspec.structs.replace(result, time_ms=_in_range(result.time_ms + by_ms))
            for result in report.results
        ),
    )


def _in_range(time_ms: int) -> int:
    return min(max(time_ms, 0), LAST_MS)


def samples(report: Report, home_site: str, provider: str) -> list[Sample]:
    """Returns the rows of a report. Pure. Names are not checked here, but when the rows
    enter the journal.

    `home_site` and `provider` are what the server knows of the agent: the site that it
    belongs to, and the operator of the network that the report came from.
    """
    where = report.whereabouts
    tags = {
        "agent": report.agent,
        "site": where.site,
        "home_site": home_site,
        "place": where.place,
        "connection": where.connection,
        "vpn": where.vpn,
        "provider": provider,
    }
    return [
        Sample(
            measurement=result.probe,
            tags={**tags, "target": result.target},
            fields={
                **result.values,
                "outcome": result.outcome.value,
                "ok": int(result.outcome is Outcome.OK),
                "state": state_number(result.outcome),
                "cost_bytes": result.cost_bytes,
            },
            time_ms=result.time_ms,
        )
        for result in report.results
    ]

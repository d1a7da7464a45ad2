"""`towpath-agent once`: measures now and shows the results; keeps and sends nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probes.agent.enrol import NotEnrolled, known_device_id, read_credential
from probes.agent.place import KnownPlaces, Locator, PlaceVerdict
from probes.agent.policy_refresh import read_policy
from probes.agent.probe_budget import ProbeConditions, on_battery
from probes.agent.probe_round import ProbeRounds, RoundSetup
from probes.agent.publish_https import HttpsPublisher
from probes.agent.report_delivery import CredentialRefused, Later
from probes.agent.server_connection import ServerConnection
from probes.agent.settings import Settings
from probes.diagnosis.agent_status import place_sentence, summary_lines
from probes.diagnosis.result_figures import figure_lines
from probes.wire.clock import wall_ms
from probes.wire.failure import is_failure
from probes.wire.policy import Policy
from probes.wire.report import Result, Whereabouts


class OnceResult(msgspec.Struct, frozen=True):
    """What `--json` prints. Fields are only ever added."""

    time_ms: int
    software: str
    whereabouts: Whereabouts
    place_reason: str
    policy: str
    results: tuple[Result, ...]

    @property
    def bad(self) -> bool:
        return any(is_failure(result.outcome) for result in self.results)


async def measure_once(
    settings: Settings,
    probes: Sequence[str],
    policy: Policy,
    ask_server: bool,
    software: str,
) -> OnceResult:
    """Runs one round of each of `probes` under `policy`, or with `ask_server` under the
    policy of the council's server, or else under the last one it gave."""
    time_ms, source = wall_ms(), "from the options"
    if ask_server:
        policy, source = await _policy(settings, software)
    place = await _where(settings, policy)
    rounds = ProbeRounds(
        RoundSetup(
            software=software,
            now_ms=wall_ms,
            ca_file=settings.ca_file,
            opt_out=settings.opt_out,
        )
    )
    conditions = ProbeConditions(
        metered=place.whereabouts.connection == "mobile",
        on_battery=on_battery(),
        left_bytes=None,
        frozen=policy.frozen_until_ms(place.whereabouts.site, time_ms) is not None,
    )
    results: list[Result] = []
    for probe in probes:
        results += await rounds.measure(probe, policy, conditions)
    return OnceResult(
        time_ms,
        software,
        place.whereabouts,
        place.reason,
        source,
        tuple(results),
    )


def render_once(once: OnceResult, as_json: bool) -> str:
    """Returns `once` for a program, as JSON, or for a person."""
    if as_json:
        return msgspec.json.format(msgspec.json.encode(once), indent=2).decode()
    return "\n".join(
        [
            place_sentence(once.whereabouts, once.place_reason),
            f"Policy: {once.policy.rstrip('.')}.",
            "",
            *summary_lines(once.results),
            "",
            "Figures for IT support:",
            *figure_lines(once.results),
        ]
    )


async def _policy(settings: Settings, software: str) -> tuple[Policy, str]:
    try:
        credential = read_credential(settings.folder())
        if not settings.server:
            raise NotEnrolled("no server is set")
        async with ServerConnection(
            settings.server, credential, settings.ca_file, software, request_s=15
        ) as connection:
            policy = await HttpsPublisher(connection).policy()
        if policy is not None:
            return policy, f"from {settings.server}"
    except NotEnrolled as error:
        return read_policy(settings.folder()), f"none ({error})"
    except (Later, CredentialRefused) as error:
        return read_policy(settings.folder()), f"the last one received ({error})"
    return read_policy(settings.folder()), "the last one received"


async def _where(settings: Settings, policy: Policy) -> PlaceVerdict:
    # Nothing is kept. Without a device id no network can be recognised.
    places = KnownPlaces(settings.folder(), known_device_id(settings.folder()).encode())
    return await Locator(places, settings.ca_file, remember=False).where(
        policy.beacon_url, policy.offices
    )

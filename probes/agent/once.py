"""`towpath-agent once`: measure now, show it, keep and send nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probes.agent.agent import read_policy
from probes.agent.enrol import NotEnrolled, known_device_id, read_credential
from probes.agent.place import Judgement, KnownPlaces, Locator
from probes.agent.probe_budget import ProbeConditions, on_battery
from probes.agent.probe_round import Round
from probes.agent.publish_https import HttpsPublisher, ServerConnection
from probes.agent.report_delivery import CredentialRefused, Later
from probes.agent.settings import Settings
from probes.diagnosis.agent_status import place_sentence, summary_lines
from probes.diagnosis.result_text import figure_lines
from probes.wire.clock import wall_ms
from probes.wire.failure import is_failure
from probes.wire.policy import Policy
from probes.wire.report import Result, Whereabouts


class OnceResult(msgspec.Struct, frozen=True):
    """What `--json` prints: stable, fields are only ever added."""

    time_ms: int
    software: str
    whereabouts: Whereabouts
    place_reason: str
    policy: str
    results: tuple[Result, ...]

    @property
    def bad(self) -> bool:
        return any(is_failure(each.outcome) for each in self.results)


async def measure_once(
    settings: Settings,
    probes: Sequence[str],
    policy: Policy,
    ask_server: bool,
    software: str,
) -> OnceResult:
    """One round of each of `probes`, against `policy` or, with `ask_server`, against
    what the council's server says, else what it last said."""
    time_ms, said = wall_ms(), "as given"
    if ask_server:
        policy, said = await _policy(settings, software)
    judgement = await _where(settings, policy)
    round = Round(software, wall_ms, ca_file=settings.ca_file, opt_out=settings.opt_out)
    facts = ProbeConditions(
        metered=judgement.whereabouts.connection == "mobile",
        on_battery=on_battery(),
        left_bytes=None,
    )
    results: list[Result] = []
    for probe in probes:
        results += await round.measure(probe, policy, facts)
    return OnceResult(
        time_ms,
        software,
        judgement.whereabouts,
        judgement.reason,
        said,
        tuple(results),
    )


def shown(found: OnceResult, as_json: bool) -> str:
    """`found` for a program or for a person."""
    if as_json:
        return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
    return "\n".join(
        [
            place_sentence(found.whereabouts, found.place_reason),
            f"Policy: {found.policy}.",
            "",
            *summary_lines(found.results),
            "",
            "Figures for IT support:",
            *figure_lines(found.results),
        ]
    )


async def _policy(settings: Settings, software: str) -> tuple[Policy, str]:
    try:
        credential = read_credential(settings.folder())
        if not settings.server:
            raise NotEnrolled("no server is set")
        async with ServerConnection(
            settings.server, credential, settings.ca_file, software, request_s=15
        ) as door:
            policy = await HttpsPublisher(door).policy()
        if policy is not None:
            return policy, f"of {settings.server}"
    except NotEnrolled as error:
        return read_policy(settings.folder()), f"empty: {error}"
    except (Later, CredentialRefused) as error:
        return read_policy(settings.folder()), f"as last had: {error}"
    return read_policy(settings.folder()), "as last had"


async def _where(settings: Settings, policy: Policy) -> Judgement:
    # Nothing is kept: without a device id of its own, no network is known again.
    places = KnownPlaces(settings.folder(), known_device_id(settings.folder()).encode())
    return await Locator(places, settings.ca_file, note=False).where(
        policy.beacon_url, policy.offices
    )

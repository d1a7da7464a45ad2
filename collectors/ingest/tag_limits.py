"""Limits what one laptop may put into tags, and into texts that become groups.

A store keeps a series for each set of tags it has ever seen (InfluxDB stops at a
limit), so a tag that a laptop chooses freely could fill it. Sites come from the estate
and providers from a table. The rest is limited here: targets must be in the policy, a
text with a closed list must be in that list, and a laptop has a few whereabouts a day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from collectors.estate.estate_model import Estate
from collectors.ingest.ingest_config import PolicyConfig
from collectors.ingest.policies import MAX_REFLECTORS
from probes.wire.catalogue import Catalogue, Field
from probes.wire.front_doors import FRONT_DOORS
from probes.wire.probe import TargetKind
from probes.wire.probe_list import PROBES
from probes.wire.report import Report, Whereabouts
from probes.wire.sample import Sample

OTHER = "other"
# Office, home and train, by cable and Wi-Fi, with and without VPN, at a few sites.
_WHEREABOUTS_A_DAY = 32
# More than there can be: if reports are anonymous, any name is accepted.
_MOST_AGENTS = 100_000
_DAY_MS = 86_400_000
_ELSEWHERE = Whereabouts()
_NONE: frozenset[str] = frozenset()

Targets = dict[str, frozenset[str]]


def allowed_targets(estate: Estate, policy: PolicyConfig) -> Targets:
    """The targets that a laptop may report, by measurement. Pure."""
    reflectors = frozenset(r.id for r in estate.reflectors[:MAX_REFLECTORS])
    services: list[str] = []
    names: list[str] = []
    for ring in policy.of_every_ring():
        services += [service.name for service in ring.services]
        services += [check.name for check in ring.online_checks]
        if ring.microsoft_365:
            services += [service.name for service in FRONT_DOORS.values()]
        names += ring.names
    by_kind: dict[TargetKind, frozenset[str]] = {
        "none": _NONE,
        "reflectors": reflectors,
        "names": frozenset(names),
        "services": frozenset(services),
        "media_edges": frozenset(e.id for t in estate.teams for e in t.media_edges),
    }
    return {
        probe.name: by_kind[probe.targets] | frozenset(probe.target_names)
        for probe in PROBES
    }


class TagLimits:
    """Replaces tags and texts that no policy allows; one per transport.

    `other_targets` counts targets that are in no policy; `other_whereabouts` counts
    reports that lost their whereabouts because their agent had too many that day.
    """

    def __init__(
        self,
        estate: Callable[[], Estate],
        policy: Callable[[], PolicyConfig],
        catalogue: Catalogue,
    ) -> None:
        self._estate, self._policy = estate, policy
        self._of: tuple[Estate, PolicyConfig] | None = None
        self._targets: Targets = {}
        self._texts = {
            measurement.name: [f for f in measurement.fields if f.among]
            for measurement in catalogue
            if measurement.personal
        }
        self._day = 0
        self._seen: dict[str, set[tuple[str, ...]]] = {}
        self.other_targets = self.other_whereabouts = 0

    def limit_whereabouts(self, report: Report, now_ms: int) -> Report:
        """Returns `report`, without whereabouts if its agent had too many today."""
        where = report.whereabouts
        if self.knows_where(report.agent, msgspec.structs.astuple(where), now_ms):
            return report
        self.other_whereabouts += 1
        return msgspec.structs.replace(report, whereabouts=_ELSEWHERE)

    def knows_where(self, agent: str, where: Iterable[str], now_ms: int) -> bool:
        """Whether the laptop may be there too, and not in too many places today."""
        day, place = now_ms // _DAY_MS, tuple(where)
        if day != self._day or len(self._seen) > _MOST_AGENTS:
            self._day, self._seen = day, {}
        seen = self._seen.setdefault(agent, set())
        if place not in seen and len(seen) >= _WHEREABOUTS_A_DAY:
            return False
        seen.add(place)
        return True

    def limit_sample(self, sample: Sample) -> Sample:
        """Returns `sample`, with `other` for a target or text that is in no list."""
        target = sample.tags["target"]
        if target and target not in self.allowed(sample.measurement):
            self.other_targets += 1
            sample = msgspec.structs.replace(
                sample, tags={**sample.tags, "target": OTHER}
            )
        for field in self.closed_texts(sample.measurement):
            value = sample.fields.get(field.name)
            if isinstance(value, str) and value not in field.among:
                sample = msgspec.structs.replace(
                    sample, fields={**sample.fields, field.name: OTHER}
                )
        return sample

    def closed_texts(self, measurement: str) -> Sequence[Field]:
        """The texts that are one of a list."""
        return self._texts.get(measurement, ())

    def allowed(self, measurement: str) -> frozenset[str]:
        """The targets that a policy names."""
        estate, policy, of = self._estate(), self._policy(), self._of
        if of is None or of[0] is not estate or of[1] is not policy:
            self._of = estate, policy
            self._targets = allowed_targets(estate, policy)
        return self._targets.get(measurement, _NONE)

"""What one laptop may put into tags, and into texts that become groups.

A store keeps a series for each set of tags it ever saw (InfluxDB ends at a limit), so a
tag that a laptop may choose freely is a way to fill it. Sites come from the estate,
providers from a table, and the rest is bounded here: targets are those of the policy, a
text with a closed list is of that list, and a laptop has a few whereabouts a day.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from collectors.estate.estate_model import Estate
from collectors.ingest.ingest_config import PolicyConfig
from collectors.ingest.policies import MAX_REFLECTORS, MICROSOFT_365
from probes.wire.catalogue import Catalogue
from probes.wire.probe import TargetKind
from probes.wire.probe_list import PROBES
from probes.wire.report import Report, Whereabouts
from probes.wire.sample import Sample

OTHER = "other"
# Office, home and train, by cable and Wi-Fi, with VPN and without, in a few sites.
_WHEREABOUTS_A_DAY = 32
# More than there can be: where reports are anonymous, names are free.
_MOST_AGENTS = 100_000
_DAY_MS = 86_400_000
_ELSEWHERE = Whereabouts()
_NONE: frozenset[str] = frozenset()

Targets = dict[str, frozenset[str]]


def targets_of(estate: Estate, policy: PolicyConfig) -> Targets:
    """The targets a laptop may name, by measurement. Pure."""
    reflectors = frozenset(each.id for each in estate.reflectors[:MAX_REFLECTORS])
    services = [each.name for each in policy.services]
    if policy.microsoft_365:
        services += [each.name for each in MICROSOFT_365]
    checks = [each.name for each in policy.online_checks]
    by_kind: dict[TargetKind, frozenset[str]] = {
        "none": _NONE,
        "reflectors": reflectors,
        "names": frozenset(policy.names),
        "services": frozenset((*services, *checks)),
    }
    return {
        probe.name: by_kind[probe.targets] | frozenset(probe.target_names)
        for probe in PROBES
    }


class Bounds:
    """Holds what agents say to what they were asked; one per transport.

    `others` counts the targets that no policy has, and `far` the reports whose
    whereabouts were left out as one too many.
    """

    def __init__(
        self, estate: Callable[[], Estate], policy: PolicyConfig, catalogue: Catalogue
    ) -> None:
        self._estate, self._policy = estate, policy
        self._of: Estate | None = None
        self._targets: Targets = {}
        self._texts = {
            measurement.name: [f for f in measurement.fields if f.among]
            for measurement in catalogue
            if measurement.personal
        }
        self._day = 0
        self._seen: dict[str, set[Whereabouts]] = {}
        self.others = self.far = 0

    def report(self, report: Report, now_ms: int) -> Report:
        """`report`, without its whereabouts if its agent has had too many today."""
        day = now_ms // _DAY_MS
        if day != self._day or len(self._seen) > _MOST_AGENTS:
            self._day, self._seen = day, {}
        seen = self._seen.setdefault(report.agent, set())
        if report.whereabouts in seen:
            return report
        if len(seen) < _WHEREABOUTS_A_DAY:
            seen.add(report.whereabouts)
            return report
        self.far += 1
        return msgspec.structs.replace(report, whereabouts=_ELSEWHERE)

    def sample(self, sample: Sample) -> Sample:
        """`sample`, with `other` for a target or text that is in no list."""
        target = sample.tags["target"]
        if target and target not in self._known(sample.measurement):
            self.others += 1
            sample = msgspec.structs.replace(
                sample, tags={**sample.tags, "target": OTHER}
            )
        for field in self._texts.get(sample.measurement, ()):
            value = sample.fields.get(field.name)
            if isinstance(value, str) and value not in field.among:
                sample = msgspec.structs.replace(
                    sample, fields={**sample.fields, field.name: OTHER}
                )
        return sample

    def _known(self, measurement: str) -> frozenset[str]:
        estate = self._estate()
        if estate is not self._of:
            self._of, self._targets = estate, targets_of(estate, self._policy)
        return self._targets.get(measurement, _NONE)

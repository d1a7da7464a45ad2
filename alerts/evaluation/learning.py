"""The baseline: what was already so when Towpath first saw it. Pure.

A port without a cable, a power supply that is not fitted, a tunnel that is down by
design, a device that never answered: none of them is news. While a device (or line,
gateway, site) is new, a condition that holds at the first look becomes `baseline`
instead of pending: it is listed and pages nobody. It leaves the baseline when it is
well for the first time. From then on it is an alert like any other. What was well
once, or begins when the device is no longer new, never enters the baseline.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from alerts.estate_index import EstateIndex
from alerts.evaluation.conditions import ConditionResult, condition_holds
from alerts.rule import Rule
from alerts.series import Target
from alerts.window import Window
from collectors.batch import Batch

# The tags that name the owner of a subject, the nearest first.
_OWNERS = ("device", "line", "gateway", "site")
# Their rows come only while something is wrong, so their first row proves nothing: they
# are new as long as anything else of the device is.
_ONLY_WHEN_WRONG = ("finding",)
# A replaced device may be read before its inventory shows that it is another.
_REPLACED_MS = 900_000


class FirstSeen(msgspec.Struct, frozen=True):
    """When rows of an owner first came, by measurement, and what the inventory of a
    device calls it, so that a replacement is noticed."""

    by_measurement: dict[str, int] = {}
    identity: str = ""


class Learning:
    """Decides what is baseline in one cycle, and collects what that changes.

    `known`: owner → when it was first seen. `lasts_ms`: how long an owner is new; 0
    turns the baseline off. `wanted`: what engineers decided: `alert` for a key of the
    baseline, `learn` for an owner. `identities`: what devices are, from new rows of
    `inventory`. `were_well`: subjects that were well in older rows of this cycle.

    Afterwards, `changes` has the records that changed, and `settled` the subjects that
    are no longer new to the window.
    """

    def __init__(
        self,
        known: Mapping[str, FirstSeen],
        estate_index: EstateIndex,
        lasts_ms: int,
        now_ms: int,
        wanted: Mapping[str, str] | None = None,
        identities: Mapping[str, str] | None = None,
        were_well: Collection[Target] = (),
    ) -> None:
        self._known, self._estate_index = known, estate_index
        self._lasts_ms, self._now_ms = lasts_ms, now_ms
        self._wanted, self._identities = wanted or {}, identities or {}
        self._were_well = were_well
        self._replaced: set[str] = set()
        self.changes: dict[str, FirstSeen | None] = {}
        self.settled: set[Target] = set()

    def forget_unknown(self, window: Window) -> None:
        """Forgets owners that are no longer in the estate: they may come back."""
        for owner in self._known:
            tag, name = _part(owner)
            if tag != "rule" and not self._estate_index.knows({tag: name}):
                self.changes[owner] = None
                window.renew((tag, name))

    def renew_replaced(self, window: Window) -> None:
        """Makes new what was replaced or is to be learnt again."""
        self._replaced = {o for o, choice in self._wanted.items() if choice == "learn"}
        for owner, identity in self._identities.items():
            kept = self._first_seen(owner)
            if kept.identity != identity:
                self.changes[owner] = msgspec.structs.replace(kept, identity=identity)
                if is_another(kept.identity, identity):
                    self._replaced.add(owner)
        for owner in self._replaced:
            self.changes[owner] = FirstSeen({}, self._first_seen(owner).identity)
            window.renew(_part(owner))

    def wants_alert(self, key: str) -> bool:
        """True if an engineer decided that this part of the baseline is a fault."""
        return self._wanted.get(key) == "alert"

    def is_first_look(
        self,
        window: Window,
        target: Target,
        subject: Mapping[str, str],
        unpaged_since_ms: int | None,
    ) -> bool:
        """True if a condition that holds now was so when its owner was first seen.

        `unpaged_since_ms`: when an alert that is not paged yet began. It may be of a
        device that was replaced just before.
        """
        if unpaged_since_ms is not None:
            return (
                owner_of(subject) in self._replaced
                and unpaged_since_ms >= self._now_ms - _REPLACED_MS
            )
        is_new = self._is_new(window, target, subject)
        if target[0] in window.of_several:
            return is_new and not has_failed_anew(window, target)
        return is_new and target not in self._were_well

    def look(
        self,
        window: Window,
        target: Target,
        subject: Mapping[str, str],
        result: ConditionResult | None,
    ) -> None:
        """Records that rows of this subject came, and whether it was well. `result`:
        None if it is clearly well."""
        if not self._is_new(window, target, subject):
            return
        rule = window.rules[target[0]]
        if (
            target in self._were_well
            or was_well(window, target)
            or (rule.function and result is not None and result.bad is False)
        ):
            self.settled.add(target)

    def _is_new(
        self, window: Window, target: Target, subject: Mapping[str, str]
    ) -> bool:
        if target not in window.new or target in self.settled:
            return False
        rule = window.rules[target[0]]
        owner = owner_of(subject)
        if (
            self._lasts_ms
            and owner
            and rule.has_baseline
            and self._estate_index.knows(dict(subject))
            # Both are recorded, so no short cut.
            and any([self._is_new_owner(owner, rule), self._is_new_rule(rule)])
        ):
            return True
        self.settled.add(target)
        return False

    def _is_new_owner(self, owner: str, rule: Rule) -> bool:
        if rule.measurement in _ONLY_WHEN_WRONG:
            times = self._first_seen(owner).by_measurement.values()
            return self._is_recent(max(times, default=self._now_ms))
        return self._is_recent(self._record(owner, rule.measurement))

    def _is_new_rule(self, rule: Rule) -> bool:
        return self._is_recent(self._record(f"rule={rule.id}", rule.measurement))

    def _is_recent(self, since_ms: int) -> bool:
        # What begins far in the future was noted by a clock that was ahead.
        return -self._lasts_ms < self._now_ms - since_ms < self._lasts_ms

    def _record(self, owner: str, measurement: str) -> int:
        """When rows of `measurement` of that owner first came."""
        kept = self._first_seen(owner)
        since_ms = kept.by_measurement.get(measurement)
        if since_ms is None:
            since_ms = self._now_ms
            self.changes[owner] = msgspec.structs.replace(
                kept, by_measurement={**kept.by_measurement, measurement: since_ms}
            )
        return since_ms

    def _first_seen(self, owner: str) -> FirstSeen:
        if owner in self.changes:
            return self.changes[owner] or FirstSeen()
        return self._known.get(owner) or FirstSeen()


def owner_of(subject: Mapping[str, str]) -> str:
    """`device=core-1`: whose part `subject` is; empty if it is nobody's."""
    for tag in _OWNERS:
        if subject.get(tag):
            return f"{tag}={subject[tag]}"
    return ""


def was_well(window: Window, target: Target) -> bool:
    """True if the first condition of the rule does not hold in some series of the
    subject: that is its state, and the other conditions say whether it matters. A port
    that is down was not well, whether or not it should be up."""
    rule_index, subject = target
    rule = window.rules[rule_index]
    if not rule.when:
        return False
    held = {
        condition_holds(rule.when[0], series)
        for series in window.members(rule_index, subject)
    }
    # One of several sensors that is well says nothing about the others.
    return False in held and (rule.across == "all" or True not in held)


def has_failed_anew(window: Window, target: Target) -> bool:
    """True if, of several series of the subject, one is bad that was well before."""
    rule_index, subject = target
    rule = window.rules[rule_index]
    return rule_index in window.of_several and any(
        series.well_by >> rule_index & 1 and condition_holds(rule.when[0], series)
        for series in window.members(rule_index, subject)
    )


def mark_well(window: Window, targets: Iterable[Target]) -> None:
    """Remembers of each of several series that it is well: those of one subject may be
    read at different times."""
    for rule_index, subject in targets:
        if rule_index not in window.of_several:
            continue
        condition = window.rules[rule_index].when[0]
        for series in window.members(rule_index, subject):
            if condition_holds(condition, series) is False:
                series.well_by |= 1 << rule_index


def well_subjects(window: Window, targets: Iterable[Target]) -> set[Target]:
    """Those of `targets` that are new and well now."""
    return {
        target
        for target in window.new.intersection(targets)
        if was_well(window, target)
    }


def identities(batch: Batch) -> dict[str, str]:
    """Owner → what it is, from rows of `inventory`; empty for another measurement."""
    if batch.measurement != "inventory":
        return {}
    found = {}
    for sample in batch.samples():
        parts = [
            str(sample.fields.get(name) or "")
            for name in ("serial", "vendor", "hardware")
        ]
        if any(parts):
            found[f"device={sample.tags.get('device', '')}"] = "\n".join(parts)
    return found


def is_another(before: str, after: str) -> bool:
    """True if two identities are of two devices: by serial number if both have one,
    else by make and model. An update may change how a model is written."""
    if not before or not after:
        return False
    (serial, *model), (new_serial, *new_model) = before.split("\n"), after.split("\n")
    if serial and new_serial:
        return serial != new_serial
    return all(model) and all(new_model) and model != new_model


def _part(owner: str) -> tuple[str, str]:
    tag, _, name = owner.partition("=")
    return tag, name

"""`Rule`: what counts as wrong, for how long, and what to do first.

A rule is data (`alerts/catalog/*.yaml`, read by `alerts.rule_files`). What data cannot
express, `function` takes from `alerts.rule_functions`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from alerts.alert import Owner, PagingHours, Severity
from collectors.estate.estate_model import Pattern
from collectors.strict_model import StrictModel
from probes.wire.durations import parse_duration_ms

Aggregate = Literal["last", "mean", "min", "max", "sum", "count", "p95", "rise"]
Comparison = Literal[">", ">=", "<", "<=", "==", "!="]
Relation = Literal[
    "ancestor",
    "everything",
    "gateway_place",
    "line_port",
    "named_device",
    "other_end",
    "parent_port",
    "power",
    "primary_line",
    "room_device",
    "room_port",
    "same_device",
    "same_interface",
    "same_part",
    "same_site",
    "same_subject",
    "site_line",
    "site_lines",
    "site_line_port",
    "site_tops",
    "supplier",
    "team_place",
]


def _duration_ms(value: Any) -> Any:
    """`90s`, `10m`, `2h`, `1d` in milliseconds."""
    if isinstance(value, str):
        return parse_duration_ms(value)
    if value == 0 and not isinstance(value, bool):
        return 0
    raise ValueError("expected a length of time such as 90s, 10m, 2h or 1d")


Duration = Annotated[int, BeforeValidator(_duration_ms), Field(ge=0)]


# The tags of the subject that each relation leads to; None: those of the consequence.
# Of `same_part`, the rules' own measurements and `ended_by` tell which parts are one.
RELATION_SUBJECTS: dict[str, frozenset[str] | None] = {
    "ancestor": frozenset({"device"}),
    "everything": frozenset(),
    "gateway_place": frozenset({"device"}),
    "line_port": frozenset({"line"}),
    "named_device": frozenset({"device"}),
    "other_end": frozenset({"device", "port"}),
    "parent_port": frozenset({"device"}),
    "power": frozenset({"device"}),
    "primary_line": frozenset({"line"}),
    "room_device": frozenset({"device"}),
    "room_port": frozenset({"room"}),
    "same_device": frozenset({"device"}),
    "same_interface": frozenset({"interface"}),
    "same_site": frozenset({"site"}),
    "same_subject": None,
    "site_line": frozenset({"line"}),
    "site_lines": frozenset({"line"}),
    "site_line_port": frozenset({"device", "port"}),
    "site_tops": frozenset({"device"}),
    "supplier": frozenset({"supplier"}),
    "team_place": frozenset({"by", "group"}),
}
# The rule that fires if Towpath itself has lost its network.
CUT_OFF = "monitor_cut_off"
# Functions of rules with `evidence: alerts` (alerts/domain_functions.py).
ALERT_FUNCTIONS = ("power_feed_failed", "same_fault_at_site", "supplier_outage")
# Relations that may lead from a rule to itself: upwards, or from one end to the other.
TO_ITSELF = frozenset({"ancestor", "other_end"})


class Condition(StrictModel):
    """One comparison; a rule's conditions must all hold.

    `over` is the length of the window, for every aggregate but `last`. `clear` is the
    threshold that ends an alert (hysteresis); without it, `threshold` does. `rise` is
    how much a counter grew in the window, allowing for restarts. `missing`: the value
    to assume if a row lacks the field. `sure`: a ratio must be above the threshold with
    95 % confidence, given how many it is of: 2 of 10 may be chance. `otherwise`: why
    the alert ends if this alone no longer holds, such as that an event is over: then
    nothing has recovered.
    """

    field: str
    aggregate: Aggregate = "last"
    over: Duration = 0
    comparison: Comparison = Field(alias="is")
    threshold: float
    clear: float | None = None
    missing: float | None = None
    sure: bool = False
    otherwise: str = ""

    def holds(self, value: float, is_holding: bool) -> bool:
        """True if `value` meets the condition; `is_holding`: whether it did until now.

        With hysteresis, a condition that holds is compared with `clear`.
        """
        against = self.threshold
        if is_holding and self.clear is not None:
            against = self.clear
        match self.comparison:
            case ">":
                return value > against
            case ">=":
                return value >= against
            case "<":
                return value < against
            case "<=":
                return value <= against
            case "==":
                return value == against
            case "!=":
                return value != against


class Explains(StrictModel):
    """Alerts of `rules` in this `relation` to one of this rule are its consequences.
    `like`: only those whose subject has tags like these (regular expressions)."""

    rules: tuple[str, ...] = Field(min_length=1)
    relation: Relation
    like: dict[str, Pattern] = Field(default_factory=dict)


class EndedBy(StrictModel):
    """Polls that end an alert raised by a device's own event, in case the event that
    ends it was lost.

    Rows of `measurement` with these tags (`where`: one of the values; `like`: a regular
    expression) that share the tags `same` with the subject: the alert ends if all of
    them were polled after the event and meet `when`. `only`: restricts this to subjects
    with these tags.

    `names`: the tag by which these rows name a part. If the event's `about` fits some
    of them, it is about these alone; `named`: if it fits none, no row counts.
    """

    measurement: str
    same: Annotated[tuple[str, ...], Field(min_length=1)] = ("device",)
    only: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    where: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    like: dict[str, Pattern] = Field(default_factory=dict)
    names: str = ""
    named: bool = False
    when: Condition

    def applies_to(self, subject: Mapping[str, str]) -> bool:
        return all(subject.get(tag, "") in values for tag, values in self.only.items())

    def matches(self, tags: Mapping[str, str]) -> bool:
        """True if rows with these tags count."""
        return all(
            tags.get(tag, "") in values for tag, values in self.where.items()
        ) and all(
            re.search(pattern, tags.get(tag, ""), re.IGNORECASE)
            for tag, pattern in self.like.items()
        )


class Rule(StrictModel):
    """One rule. Times are in milliseconds once read.

    `lasts` (`for` in the file): how long the conditions must hold before it fires.
    `hold`: the shortest time from the start of the fault to the page.
    `keep_for`: how long all must be well before it is resolved.
    `subject`: the tags that name what the alert is about. Rows that differ only in
    other tags are one subject; `across` decides whether it is bad if any of them is, or
    only if all of at least `least` are.
    `evidence`: what `function` decides by: rows of the measurement, or alerts of other
    rules, from which it finds what they have in common.
    `silence`: what missing rows mean. `ignore`: nothing (a firing alert keeps firing, a
    pending one waits). `blind`: bad after `blind_after`, for subjects seen before and
    those that the estate `expects`.
    `absent`: what a row without the field means: `ignore`, or `clear` (well).
    `shows`: text fields kept for the texts. `ended_by`: polls that end it although the
    device did not report the end. `ends_after`: without any row or poll of it for so
    long, it ends. `baseline`: whether what was so when its device was
    first seen pages nobody (alerts/evaluation/learning.py); `news`: fields of `shows`
    whose change is news all the same. `hours`: with `open`, its page waits until the
    site opens, and is dropped if all is well by then. `sites`, `not_sites`: the sites
    it applies to (empty: all) and those it does not.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,62}$")]
    title: Annotated[str, Field(min_length=3)]
    severity: Severity
    owner: Owner = "network"
    measurement: str
    where: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    subject: tuple[str, ...]
    when: tuple[Condition, ...] = ()
    function: str = ""
    evidence: Literal["rows", "alerts"] = "rows"
    fields: tuple[str, ...] = ()
    across: Literal["any", "all"] = "any"
    least: Annotated[int, Field(ge=1)] = 1
    lasts: Duration = Field(default=0, alias="for")
    hold: Duration = 90_000
    keep_for: Duration = 0
    silence: Literal["ignore", "blind"] = "ignore"
    blind_after: Duration = 0
    expects: Literal["", "devices", "gateways"] = ""
    absent: Literal["ignore", "clear"] = "ignore"
    shows: tuple[str, ...] = ()
    summary: Annotated[str, Field(min_length=3)]
    cause: str = ""
    runbook: Annotated[str, Field(min_length=3)]
    explains: tuple[Explains, ...] = ()
    ended_by: tuple[EndedBy, ...] = ()
    ends_after: Duration = 86_400_000
    baseline: bool = True
    news: tuple[str, ...] = ()
    hours: PagingHours = "always"
    sites: tuple[str, ...] = ()
    not_sites: tuple[str, ...] = ()

    def applies_at(self, site: str) -> bool:
        return (not self.sites or site in self.sites) and site not in self.not_sites

    def matches(self, tags: dict[str, str]) -> bool:
        """True if rows with these tags count."""
        return all(tags.get(tag, "") in values for tag, values in self.where.items())

    @property
    def has_baseline(self) -> bool:
        """An event is always news, and so is silence."""
        return self.baseline and self.silence != "blind" and self.measurement != "event"

    @property
    def field_windows(self) -> dict[str, int]:
        """Field → how many ms of it to keep; 0 if the latest value is enough."""
        windows: dict[str, int] = dict.fromkeys((*self.fields, *self.shows), 0)
        for condition in self.when:
            over = max(windows.get(condition.field, 0), condition.over)
            windows[condition.field] = over
        return windows

    @property
    def page_after_ms(self) -> int:
        """From the start of the fault to the earliest page."""
        return max(self.lasts, self.hold)


# Placeholders that a summary, cause or runbook may use besides the subject's tags and
# `shows`, and the tags of which each needs one (none: it is always there).
PLACEHOLDERS: dict[str, tuple[str, ...]] = {
    "value": (),
    "threshold": (),
    "site_name": (),
    "device_name": ("device",),
    "address": ("device",),
    "parent_name": ("device",),
    "supplier": ("line", "supplier"),
    "supplier_phone": ("line", "supplier"),
    "support_hours": ("line", "supplier"),
    "circuit_ref": ("line",),
    "line_role": ("line",),
    "line_device": ("line",),
    "reading": ("sensor",),
    "gateway_name": ("gateway",),
    "room_name": ("room",),
    "team_name": ("team",),
    "host": ("gateway",),
}


def placeholders(text: str) -> list[str]:
    """The names in braces. Raises ValueError if a brace is open or has a format."""
    names = []
    for _, name, form, conversion in string.Formatter().parse(text):
        if name is None:
            continue
        if not name.isidentifier() or form or conversion:
            raise ValueError(f"{{{name}}} is not a plain name in braces")
        names.append(name)
    return names


def allowed_placeholders(rule: Rule) -> set[str]:
    return {
        *rule.subject,
        *rule.shows,
        *(
            name
            for name, tags in PLACEHOLDERS.items()
            if not tags or set(tags) & set(rule.subject)
        ),
    }

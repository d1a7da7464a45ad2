"""`Rule`: what is wrong, when, for how long, and what a person does first.

A rule is data (`alerts/catalog/*.yaml`, read by `alerts.rule_files`). Where data cannot
say it, `function` names one of `alerts.rule_functions`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from alerts.alert import Severity
from collectors.estate.estate_model import Pattern
from collectors.strict_model import StrictModel
from probes.wire.durations import parse_duration_ms

Aggregate = Literal["last", "mean", "min", "max", "sum", "count", "p95", "rise"]
Comparison = Literal[">", ">=", "<", "<=", "==", "!="]
Relation = Literal[
    "ancestor",
    "everything",
    "line_port",
    "parent_port",
    "primary_line",
    "same_device",
    "same_site",
    "same_subject",
    "site_line",
    "site_lines",
    "site_line_port",
    "site_tops",
]


def _duration_ms(value: Any) -> Any:
    """`90s`, `10m`, `2h`, `1d` as milliseconds."""
    if isinstance(value, str):
        return parse_duration_ms(value)
    if value == 0 and not isinstance(value, bool):
        return 0
    raise ValueError("expected a length of time such as 90s, 10m, 2h or 1d")


Duration = Annotated[int, BeforeValidator(_duration_ms), Field(ge=0)]


# The tags of the cause's subject each relation leads to; None: the consequence's own.
RELATION_SUBJECTS: dict[str, frozenset[str] | None] = {
    "ancestor": frozenset({"device"}),
    "everything": frozenset(),
    "line_port": frozenset({"line"}),
    "parent_port": frozenset({"device"}),
    "primary_line": frozenset({"line"}),
    "same_device": frozenset({"device"}),
    "same_site": frozenset({"site"}),
    "same_subject": None,
    "site_line": frozenset({"line"}),
    "site_lines": frozenset({"line"}),
    "site_line_port": frozenset({"device", "port"}),
    "site_tops": frozenset({"device"}),
}


class Condition(StrictModel):
    """One comparison; a rule's conditions must all hold.

    `over` is the length of the window for every aggregate but `last`. `clear` is the
    threshold that ends it once it holds (hysteresis); without it `threshold` does.
    `rise` is how much a counter grew in the window, restarts of it allowed for.
    `missing`: what a row without the field counts as.
    """

    field: str
    aggregate: Aggregate = "last"
    over: Duration = 0
    comparison: Comparison = Field(alias="is")
    threshold: float
    clear: float | None = None
    missing: float | None = None

    def holds(self, value: float, held: bool) -> bool:
        """True where `value` meets it; `held` says whether it did until now."""
        against = self.clear if held and self.clear is not None else self.threshold
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
    """Alerts of `rules` standing in `relation` to this one are its consequences."""

    rules: tuple[str, ...] = Field(min_length=1)
    relation: Relation


class EndedBy(StrictModel):
    """Polls that contradict what a device told by itself: it may have told its end, and
    nobody received it.

    Rows of `measurement` with these tags (`where`: one of the values; `like`: a regular
    expression) that share the tags `same` with the subject: if every one of them was
    measured after it was told and meets `when`, it is over. `only`: for subjects with
    these tags alone.
    """

    measurement: str
    same: Annotated[tuple[str, ...], Field(min_length=1)] = ("device",)
    only: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    where: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    like: dict[str, Pattern] = Field(default_factory=dict)
    when: Condition

    def applies_to(self, subject: Mapping[str, str]) -> bool:
        return all(subject.get(tag, "") in values for tag, values in self.only.items())

    def takes(self, tags: Mapping[str, str]) -> bool:
        """True for rows with these tags."""
        return all(
            tags.get(tag, "") in values for tag, values in self.where.items()
        ) and all(
            re.search(pattern, tags.get(tag, ""), re.IGNORECASE)
            for tag, pattern in self.like.items()
        )


class Rule(StrictModel):
    """One rule. Times are in ms once read.

    `lasts` (`for` in the file): how long the conditions must hold before it fires.
    `hold`: how long after the beginning a page may leave, at the earliest.
    `keep_for`: how long it must be well again before it is over.
    `subject`: the tags that name what the alert is about; rows that differ in other
    tags are one subject, bad where `across` of them (any, or all of at least `least`)
    are. `silence`: what no rows mean: `ignore` (nothing: a firing alert keeps firing,
    a pending one waits) or `blind` (bad by itself after `blind_after`, for subjects
    heard before and those the estate `expects`). `absent`: what a row without the
    field means: `ignore`, or `clear` (well). `shows`: text fields kept for the words.
    `ended_by`: polls that end it though the device did not say so.
    `sites`, `not_sites`: where it applies (empty: everywhere).
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,62}$")]
    title: Annotated[str, Field(min_length=3)]
    severity: Severity
    measurement: str
    where: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    subject: tuple[str, ...]
    when: tuple[Condition, ...] = ()
    function: str = ""
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
    sites: tuple[str, ...] = ()
    not_sites: tuple[str, ...] = ()

    def applies_at(self, site: str) -> bool:
        return (not self.sites or site in self.sites) and site not in self.not_sites

    def takes(self, tags: dict[str, str]) -> bool:
        """True for rows with these tags."""
        return all(tags.get(tag, "") in values for tag, values in self.where.items())

    @property
    def wanted(self) -> dict[str, int]:
        """Field -> ms of it to be kept; 0 where the latest value is enough."""
        found: dict[str, int] = dict.fromkeys((*self.fields, *self.shows), 0)
        for condition in self.when:
            found[condition.field] = max(found.get(condition.field, 0), condition.over)
        return found

    @property
    def page_after_ms(self) -> int:
        """From the beginning to the earliest page."""
        return max(self.lasts, self.hold)


# Words a summary, cause or runbook may use besides the subject's tags and `shows`,
# and the tag they need ("" none).
PLACEHOLDERS: dict[str, str] = {
    "value": "",
    "threshold": "",
    "site_name": "",
    "device_name": "device",
    "address": "device",
    "parent_name": "device",
    "supplier": "line",
    "supplier_phone": "line",
    "support_hours": "line",
    "circuit_ref": "line",
    "line_role": "line",
    "line_device": "line",
    "reading": "sensor",
    "gateway_name": "gateway",
    "host": "gateway",
}


def placeholders(text: str) -> list[str]:
    """Names in braces; ValueError where a brace is left open or has extras."""
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
        *(name for name, tag in PLACEHOLDERS.items() if not tag or tag in rule.subject),
    }

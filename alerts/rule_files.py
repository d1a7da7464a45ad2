"""Reads rules: Towpath's own (`alerts/catalog/*.yaml`) and the council's beside them.

The council's files add to Towpath's: `rules:` holds new rules; `overrides:` changes
thresholds and times of existing rules, everywhere or at some sites, or disables them.
Nobody edits Towpath's own files, so an update never conflicts.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import Field

from alerts.alert import PagingHours, Severity
from alerts.rule import Duration, Rule
from alerts.rule_checks import explains_errors, rule_errors, weaker_causes
from collectors.config_errors import dotted
from collectors.strict_model import StrictModel
from collectors.yaml_file import parse_yaml, read_text, validate
from probes.wire.catalogue import Catalogue, did_you_mean


class RuleError(ValueError):
    """The rules cannot be used; `findings` lists every reason, one sentence each."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = findings


class Override(StrictModel):
    """The council's own values for an existing rule.

    `threshold` and `clear` are those of the rule's first condition. With `sites` it
    applies only there.
    """

    rule: str
    sites: tuple[str, ...] = ()
    disable: bool = False
    severity: Severity | None = None
    threshold: float | None = None
    clear: float | None = None
    lasts: Duration | None = Field(default=None, alias="for")
    hold: Duration | None = None
    keep_for: Duration | None = None
    hours: PagingHours | None = None


class _RuleFile(StrictModel):
    rules: tuple[Rule, ...] = ()
    overrides: tuple[Override, ...] = ()


@dataclasses.dataclass(frozen=True)
class Explanation:
    """One possible explanation for an alert: an alert of `cause`, in `relation`.
    `like`: only for subjects with tags like these. `reverse`: of two that are about the
    same part, the one that is usually the consequence explains the other if it is more
    severe."""

    cause: str
    relation: str
    like: Mapping[str, str] = dataclasses.field(default_factory=dict)
    reverse: bool = False

    def covers(self, subject: Mapping[str, str]) -> bool:
        return all(
            re.search(pattern, subject.get(tag, ""), re.IGNORECASE)
            for tag, pattern in self.like.items()
        )


class Rules(Sequence[Rule]):
    """The enabled rules in order; an id occurs twice if some sites have their own.
    `disabled`: ids of those that an override disables everywhere."""

    def __init__(self, rules: Sequence[Rule], disabled: Collection[str] = ()) -> None:
        self._rules = tuple(rules)
        self.disabled = frozenset(disabled)
        self._by_id: dict[str, list[tuple[int, Rule]]] = {}
        for index, rule in enumerate(self._rules):
            self._by_id.setdefault(rule.id, []).append((index, rule))
        self.links: dict[str, list[Explanation]] = {}
        for rule in {r.id: r for r in reversed(self._rules)}.values():
            for explains in rule.explains:
                for effect in explains.rules:
                    self.links.setdefault(effect, []).append(
                        Explanation(rule.id, explains.relation, explains.like)
                    )
                    if explains.relation == "same_part" and effect in self._by_id:
                        self.links.setdefault(rule.id, []).append(
                            Explanation(effect, explains.relation, reverse=True)
                        )
        order = {rule.id: index for index, rule in enumerate(self._rules)}
        for links in self.links.values():
            links.sort(key=lambda link: order[link.cause])

    def __len__(self) -> int:
        return len(self._rules)

    def __getitem__(self, index: Any) -> Any:
        return self._rules[index]

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def find_all(self, id: str) -> list[tuple[int, Rule]]:
        """(index, rule) of every rule with that id."""
        return self._by_id.get(id, [])

    @property
    def ids(self) -> list[str]:
        return list(self._by_id)

    def find(self, id: str, site: str) -> Rule | None:
        """The rule with that id that applies at `site`; None if there is none."""
        for _, rule in self.find_all(id):
            if rule.applies_at(site):
                return rule
        return None


def catalogue_folder() -> Path:
    """The folder of Towpath's own rules."""
    return Path(str(resources.files("alerts"))) / "catalog"


RuleCheck = Callable[[Rule | Override, str], Iterator[tuple[str, str]]]
"""(rule or override, its dotted path) → (dotted path, sentence) for each error."""


def no_check(rule: Rule | Override, at: str) -> Iterator[tuple[str, str]]:
    """Finds no errors: the catalogue alone decides."""
    return iter(())


def load_rules(
    catalogue: Catalogue, folder: Path | None = None, check: RuleCheck = no_check
) -> Rules:
    """Returns Towpath's rules and those in `folder` (a folder or one file). `check`
    finds what the catalogue does not know, such as a site missing from the estate.

    Raises `RuleError` with all errors: file, line, dotted path, what was expected, and
    "did you mean".
    """
    sources = sorted(catalogue_folder().glob("*.yaml"))
    if folder is not None:
        if folder.is_dir():
            sources += sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
        else:
            sources.append(folder)
    return load_rule_files(sources, catalogue, check)


def load_rule_files(
    sources: Sequence[Path], catalogue: Catalogue, check: RuleCheck = no_check
) -> Rules:
    """Returns the rules of these files alone."""
    findings: list[str] = []
    rules: dict[str, tuple[Rule, str]] = {}
    overrides: list[tuple[Override, str]] = []
    for source in sources:
        text = read_text(source, findings)
        if text is None:
            continue
        for rule, where, lines in _read_file(source, text, findings):
            errors = list(check(rule, where))
            if isinstance(rule, Rule):
                errors += rule_errors(rule, where, catalogue)
            findings += [
                f"{source}:{lines.line(at)}: {at}: {error}" for at, error in errors
            ]
            if isinstance(rule, Override):
                overrides.append((rule, f"{source}:{lines.line(where)}: {where}"))
                continue
            if rule.id in rules:
                findings.append(
                    f"{source}:{lines.line(where)}: {where}.id is {rule.id!r}, which "
                    f"is already at {rules[rule.id][1]}; to change it use overrides:"
                )
            else:
                rules[rule.id] = (rule, f"{source}:{lines.line(where)}")
    enabled = [rule for rule, _ in rules.values()]
    findings += explains_errors(enabled, rules)
    for override, where in overrides:
        if override.rule not in rules:
            hint = did_you_mean(override.rule, rules)
            findings.append(f"{where}.rule: no rule is called {override.rule!r}{hint}")
            continue
        try:
            enabled = _apply_override(enabled, override)
        except ValueError as error:
            findings.append(f"{where}: {error}")
    findings += weaker_causes(enabled)
    if findings:
        raise RuleError(findings)
    return Rules(enabled, rules.keys() - {rule.id for rule in enabled})


def _read_file(source: Path, text: str, findings: list[str]) -> Iterator[Any]:
    """(rule or override, its dotted path, its lines) for each entry in `text`."""
    document, lines = parse_yaml(source, text, findings)
    if document is None:
        return
    if not isinstance(document, dict):
        findings.append(f"{source}:1: expected `rules:` or `overrides:` at the top")
        return
    file = validate(source, document, lines, _RuleFile, findings)
    if file is None:
        return
    for n, rule in enumerate(file.rules):
        yield rule, dotted(("rules", n)), lines
    for n, override in enumerate(file.overrides):
        path = dotted(("overrides", n))
        yield override, path, lines


def _apply_override(rules: Sequence[Rule], override: Override) -> list[Rule]:
    changed: list[Rule] = []
    for rule in rules:
        if rule.id != override.rule:
            changed.append(rule)
            continue
        # Some sites may have an override already: the last one for a site counts.
        here = tuple(s for s in override.sites if rule.applies_at(s))
        if override.sites and not here:
            changed.append(rule)
            continue
        if not override.disable:
            variant = _overridden_rule(rule, override)
            if override.sites:
                variant = variant.model_copy(update={"sites": here})
            changed.append(variant)
        if override.sites:
            rest = tuple(s for s in rule.sites if s not in here)
            if not rule.sites or rest:
                changed.append(
                    rule.model_copy(
                        update={"sites": rest, "not_sites": (*rule.not_sites, *here)}
                    )
                )
    return changed


def _overridden_rule(rule: Rule, override: Override) -> Rule:
    update: dict[str, Any] = {
        name: getattr(override, name)
        for name in ("severity", "lasts", "hold", "keep_for", "hours")
        if getattr(override, name) is not None
    }
    if override.threshold is not None or override.clear is not None:
        if not rule.when:
            raise ValueError(f"{rule.id} has no threshold to change")
        first = rule.when[0]
        threshold = (
            first.threshold if override.threshold is None else override.threshold
        )
        clear = override.clear
        if clear is None and first.clear is not None:
            # `clear` keeps its distance from the threshold: that is the hysteresis.
            clear = threshold + (first.clear - first.threshold)
        changed = first.model_copy(update={"threshold": threshold, "clear": clear})
        update["when"] = (changed, *rule.when[1:])
    return rule.model_copy(update=update)

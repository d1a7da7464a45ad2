"""Reads rules: Towpath's own (`alerts/catalog/*.yaml`) and a council's beside them.

A council's folder adds: files with `rules:` bring new rules, files with `overrides:`
change thresholds and times of rules there are, everywhere or at some sites, or disable
them. Nothing of Towpath's is edited, so an update never collides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import Field

from alerts.alert import Severity
from alerts.rule import Duration, Rule
from alerts.rule_checks import broken_links, misfits, unheard_causes
from collectors.config_errors import dotted
from collectors.strict_model import StrictModel
from collectors.yaml_file import fit, parse, read_text
from probes.wire.catalogue import Catalogue, did_you_mean


class RuleError(ValueError):
    """The rules cannot be used; `findings` says why, one sentence each."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = findings


class Override(StrictModel):
    """A council's own figure for a rule that is there.

    `threshold` and `clear` are those of the rule's first condition. With `sites` it
    holds only there.
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


class _File(StrictModel):
    rules: tuple[Rule, ...] = ()
    overrides: tuple[Override, ...] = ()


@dataclasses.dataclass(frozen=True)
class Explanation:
    """One way an alert of some rule may be explained: by `cause`, in `relation`."""

    cause: str
    relation: str


class Rules(Sequence[Rule]):
    """The enabled rules in order; the same id twice where sites have their own.
    `disabled`: ids of those that an override turned off everywhere."""

    def __init__(self, rules: Sequence[Rule], disabled: Collection[str] = ()) -> None:
        self._rules = tuple(rules)
        self.disabled = frozenset(disabled)
        self._places: dict[str, list[tuple[int, Rule]]] = {}
        for at, rule in enumerate(self._rules):
            self._places.setdefault(rule.id, []).append((at, rule))
        self.links: dict[str, list[Explanation]] = {}
        for rule in {r.id: r for r in reversed(self._rules)}.values():
            for each in rule.explains:
                for effect in each.rules:
                    self.links.setdefault(effect, []).append(
                        Explanation(rule.id, each.relation)
                    )
        order = {rule.id: at for at, rule in enumerate(self._rules)}
        for links in self.links.values():
            links.sort(key=lambda link: order[link.cause])

    def __len__(self) -> int:
        return len(self._rules)

    def __getitem__(self, at: Any) -> Any:
        return self._rules[at]

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def places(self, id: str) -> list[tuple[int, Rule]]:
        """(place, rule) of the rules of that id."""
        return self._places.get(id, [])

    @property
    def ids(self) -> list[str]:
        return list(self._places)

    def of(self, id: str, site: str) -> Rule | None:
        """The rule of that id as it holds at `site`; None where none does."""
        for _, rule in self.places(id):
            if rule.applies_at(site):
                return rule
        return None


def catalogue_folder() -> Path:
    """Where Towpath's own rules lie."""
    return Path(str(resources.files("alerts"))) / "catalog"


Check = Callable[[Rule | Override, str], Iterator[tuple[str, str]]]
"""A rule or override and its dotted path → (dotted path, sentence) of what is wrong."""


def nothing(given: Rule | Override, at: str) -> Iterator[tuple[str, str]]:
    return iter(())


def load(
    catalogue: Catalogue, folder: Path | None = None, check: Check = nothing
) -> Rules:
    """Towpath's rules and those in `folder` (a folder or one file). `check` finds what
    the catalogue does not know, such as sites that the estate does not have.

    `RuleError` names everything that is wrong: file, line, dotted path, what was
    expected, did you mean.
    """
    sources = sorted(catalogue_folder().glob("*.yaml"))
    if folder is not None:
        if folder.is_dir():
            sources += sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
        else:
            sources.append(folder)
    return load_files(sources, catalogue, check)


def load_files(
    sources: Sequence[Path], catalogue: Catalogue, check: Check = nothing
) -> Rules:
    """The rules of these files alone."""
    findings: list[str] = []
    rules: dict[str, tuple[Rule, str]] = {}
    overrides: list[tuple[Override, str]] = []
    for source in sources:
        text = read_text(source, findings)
        if text is None:
            continue
        for rule, where, lines in _read(source, text, findings):
            wrong = list(check(rule, where))
            if isinstance(rule, Rule):
                wrong += misfits(rule, where, catalogue)
            findings += [f"{source}:{lines.of(at)}: {at}: {says}" for at, says in wrong]
            if isinstance(rule, Override):
                overrides.append((rule, f"{source}:{lines.of(where)}: {where}"))
                continue
            if rule.id in rules:
                findings.append(
                    f"{source}:{lines.of(where)}: {where}.id is {rule.id!r}, which is "
                    f"already at {rules[rule.id][1]}; to change it use overrides:"
                )
            else:
                rules[rule.id] = (rule, f"{source}:{lines.of(where)}")
    chosen = [rule for rule, _ in rules.values()]
    findings += broken_links(chosen, rules)
    for override, where in overrides:
        if override.rule not in rules:
            hint = did_you_mean(override.rule, rules)
            findings.append(f"{where}.rule: no rule is called {override.rule!r}{hint}")
            continue
        try:
            chosen = _overridden(chosen, override)
        except ValueError as error:
            findings.append(f"{where}: {error}")
    findings += unheard_causes(chosen)
    if findings:
        raise RuleError(findings)
    return Rules(chosen, rules.keys() - {rule.id for rule in chosen})


def _read(source: Path, text: str, findings: list[str]) -> Iterator[Any]:
    """(rule or override, its dotted path, its lines) for everything in `text`."""
    document, lines = parse(source, text, findings)
    if document is None:
        return
    if not isinstance(document, dict):
        findings.append(f"{source}:1: expected `rules:` or `overrides:` at the top")
        return
    file = fit(source, document, lines, _File, findings)
    if file is None:
        return
    for n, rule in enumerate(file.rules):
        yield rule, dotted(("rules", n)), lines
    for n, override in enumerate(file.overrides):
        path = dotted(("overrides", n))
        yield override, path, lines


def _overridden(rules: Sequence[Rule], override: Override) -> list[Rule]:
    changed: list[Rule] = []
    for rule in rules:
        if rule.id != override.rule:
            changed.append(rule)
            continue
        # Sites may have their own already: each has the last word for its sites.
        here = tuple(s for s in override.sites if rule.applies_at(s))
        if override.sites and not here:
            changed.append(rule)
            continue
        if not override.disable:
            variant = _variant(rule, override)
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


def _variant(rule: Rule, override: Override) -> Rule:
    update: dict[str, Any] = {
        name: getattr(override, name)
        for name in ("severity", "lasts", "hold", "keep_for")
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
            # The distance between the two is the hysteresis: it moves along.
            clear = threshold + (first.clear - first.threshold)
        changed = first.model_copy(update={"threshold": threshold, "clear": clear})
        update["when"] = (changed, *rule.when[1:])
    return rule.model_copy(update=update)

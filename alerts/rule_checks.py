"""What is wrong with rules that pydantic cannot see, one sentence a finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alerts.rule import (
    RELATION_SUBJECTS,
    Condition,
    EndedBy,
    Rule,
    allowed_placeholders,
    placeholders,
)
from alerts.rule_functions import FUNCTIONS
from probes.wire.catalogue import Catalogue, UnknownName, did_you_mean


def misfits(rule: Rule, at: str, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """(dotted path, sentence) for what pydantic cannot see."""
    try:
        declared = catalogue.measurement(rule.measurement)
    except UnknownName as unknown:
        yield f"{at}.measurement", str(unknown)
        return
    if declared.personal:
        yield (
            f"{at}.measurement",
            f"{rule.measurement!r} is about one laptop: rules ask for groups "
            "(`experience`) instead",
        )
    for kind, names in (("where", rule.where), ("subject", rule.subject)):
        for name in names:
            try:
                declared.tag(name)
            except UnknownName as unknown:
                yield f"{at}.{kind}", str(unknown)
    for n, condition in enumerate(rule.when):
        path = f"{at}.when[{n + 1}]"
        yield from _condition_misfits(condition, path, rule.measurement, catalogue)
    for kind, names in (("fields", rule.fields), ("shows", rule.shows)):
        for name in names:
            try:
                declared.field(name)
            except UnknownName as unknown:
                yield f"{at}.{kind}", str(unknown)
    for n, end in enumerate(rule.ended_by):
        path = f"{at}.ended_by[{n + 1}]"
        yield from _end_misfits(end, path, rule, catalogue)
    if rule.function and rule.function not in FUNCTIONS:
        hint = did_you_mean(rule.function, FUNCTIONS)
        yield f"{at}.function", f"no function is called {rule.function!r}{hint}"
    if rule.function and rule.when:
        yield f"{at}.function", "a rule has either `function` or `when`, not both"
    if not rule.function and not rule.when and rule.silence != "blind":
        yield at, "expected `when`, `function` or `silence: blind`: it never fires"
    if rule.silence == "blind" and rule.blind_after <= 0:
        yield f"{at}.blind_after", "expected with `silence: blind`, such as 3m"
    for kind in ("title", "summary", "cause", "runbook"):
        allowed = allowed_placeholders(rule) if kind != "title" else set()
        try:
            names_used = placeholders(getattr(rule, kind))
        except ValueError as error:
            yield f"{at}.{kind}", str(error)
            continue
        for name in names_used:
            if name not in allowed:
                hint = did_you_mean(name, allowed)
                yield (
                    f"{at}.{kind}",
                    f"no placeholder is called {{{name}}}{hint} "
                    f"(there are {', '.join(sorted(allowed))})",
                )


def _end_misfits(
    end: EndedBy, path: str, rule: Rule, catalogue: Catalogue
) -> Iterator[tuple[str, str]]:
    try:
        declared = catalogue.measurement(end.measurement)
        for name in (*end.same, *end.where, *end.like):
            declared.tag(name)
    except UnknownName as unknown:
        yield path, str(unknown)
        return
    for kind, names in (("same", end.same), ("only", end.only)):
        for name in names:
            if name not in rule.subject:
                hint = did_you_mean(name, rule.subject)
                yield f"{path}.{kind}", f"{name!r} is not in the rule's subject{hint}"
    if end.when.aggregate != "last":
        yield f"{path}.when", "expected the latest value, without an aggregate"
    yield from _condition_misfits(end.when, f"{path}.when", end.measurement, catalogue)


def _condition_misfits(
    condition: Condition, path: str, measurement: str, catalogue: Catalogue
) -> Iterator[tuple[str, str]]:
    try:
        field = catalogue.measurement(measurement).field(condition.field)
    except UnknownName as unknown:
        yield f"{path}.field", str(unknown)
        return
    if field.type == "str":
        yield f"{path}.field", f"{condition.field!r} is text, expected a number"
    if (condition.aggregate == "last") != (condition.over == 0):
        yield (
            f"{path}.over",
            "`last` has no window" if condition.over else "expected, such as 10m",
        )
    clear, threshold = condition.clear, condition.threshold
    if clear is not None:
        wrong_side = (condition.comparison in (">", ">=") and clear > threshold) or (
            condition.comparison in ("<", "<=") and clear < threshold
        )
        if wrong_side or condition.comparison in ("==", "!="):
            yield (
                f"{path}.clear",
                f"is {clear:g}, expected on the good side of {threshold:g}",
            )


def broken_links(
    rules: Sequence[Rule], known: dict[str, tuple[Rule, str]]
) -> list[str]:
    found = []
    reaches: dict[str, set[str]] = {}
    for rule in rules:
        for each in rule.explains:
            for effect in each.rules:
                leads_to = RELATION_SUBJECTS[each.relation]
                if leads_to is None and effect in known:
                    leads_to = frozenset(known[effect][0].subject)
                if leads_to is not None and leads_to != set(rule.subject):
                    found.append(
                        f"{known[rule.id][1]}: {rule.id} explains {effect} by "
                        f"{each.relation}, which leads to subjects of "
                        f"{sorted(leads_to)}, not {sorted(rule.subject)}"
                    )
                if effect not in known:
                    hint = did_you_mean(effect, known)
                    found.append(
                        f"{known[rule.id][1]}: {rule.id} explains {effect!r}, "
                        f"but no rule is called that{hint}"
                    )
                elif effect == rule.id and each.relation != "ancestor":
                    found.append(f"{known[rule.id][1]}: {rule.id} explains itself")
                elif each.relation != "ancestor":
                    # Ancestors go strictly upwards: no ring of alerts comes of them.
                    reaches.setdefault(rule.id, set()).add(effect)
    for start in reaches:
        seen, todo = set[str](), [start]
        while todo:
            for effect in reaches.get(todo.pop(), ()):
                if effect == start:
                    # Two alerts explaining each other would silence both.
                    found.append(
                        f"{known[start][1]}: {start} explains itself through others"
                    )
                    todo.clear()
                    break
                if effect not in seen:
                    seen.add(effect)
                    todo.append(effect)
    return found


def unheard_causes(rules: Sequence[Rule]) -> list[str]:
    """A cause less severe than what it explains may be routed to nobody."""
    weight = {"info": 0, "warning": 1, "critical": 2}
    found = []
    for rule in rules:
        for effect in (e for each in rule.explains for e in each.rules):
            for other in rules:
                if (
                    other.id == effect
                    and weight[rule.severity] < weight[other.severity]
                ):
                    found.append(
                        f"{rule.id} ({rule.severity}) explains {other.id} "
                        f"({other.severity}): expected a cause at least as severe, or "
                        "its page might reach nobody"
                    )
    return sorted(set(found))

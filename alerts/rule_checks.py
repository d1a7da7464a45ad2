"""Errors in rules that pydantic cannot find, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alerts.rule import (
    ALERT_FUNCTIONS,
    RELATION_SUBJECTS,
    TO_ITSELF,
    Condition,
    EndedBy,
    Rule,
    allowed_placeholders,
    placeholders,
)
from alerts.rule_functions import FUNCTIONS
from probes.wire.catalogue import Catalogue, Measurement, UnknownName, did_you_mean


def rule_errors(rule: Rule, at: str, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """(dotted path, sentence) for each error that pydantic cannot find."""
    try:
        declared = catalogue.measurement(rule.measurement)
    except UnknownName as unknown:
        yield f"{at}.measurement", str(unknown)
        return
    if declared.personal:
        yield (
            f"{at}.measurement",
            f"{rule.measurement!r} is about one laptop: use groups (`experience`) "
            "instead",
        )
    for kind, names in (("where", rule.where), ("subject", rule.subject)):
        for name in names:
            if error := _identity_error(name, declared):
                yield f"{at}.{kind}", error
    for n, condition in enumerate(rule.when):
        path = f"{at}.when[{n + 1}]"
        yield from _condition_errors(condition, path, rule.measurement, catalogue)
    for kind, names in (("fields", rule.fields), ("shows", rule.shows)):
        for name in names:
            try:
                declared.field(name)
            except UnknownName as unknown:
                yield f"{at}.{kind}", str(unknown)
    for name in rule.news:
        if name not in rule.shows:
            hint = did_you_mean(name, rule.shows)
            yield f"{at}.news", f"{name!r} is not one of the rule's `shows`{hint}"
    for n, end in enumerate(rule.ended_by):
        path = f"{at}.ended_by[{n + 1}]"
        yield from _ended_by_errors(end, path, rule, catalogue)
    functions = ALERT_FUNCTIONS if rule.evidence == "alerts" else FUNCTIONS
    if rule.function and rule.function not in functions:
        hint = did_you_mean(rule.function, functions)
        yield (
            f"{at}.function",
            f"no function of {rule.evidence} is called {rule.function!r}{hint}",
        )
    if rule.evidence == "alerts" and not rule.function:
        yield f"{at}.evidence", "alerts are only evidence for a `function`"
    if rule.function and rule.when:
        yield f"{at}.function", "a rule has either `function` or `when`, not both"
    if not rule.function and not rule.when and rule.silence != "blind":
        yield at, "expected `when`, `function` or `silence: blind`, or it never fires"
    if rule.silence == "blind" and rule.blind_after <= 0:
        yield f"{at}.blind_after", "is needed with `silence: blind`, such as 3m"
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


def _identity_error(name: str, declared: Measurement) -> str:
    """Why a rule cannot use that tag; empty if it can."""
    try:
        tag = declared.tag(name)
    except UnknownName as unknown:
        return str(unknown)
    if tag.describes:
        return (
            f"{name!r} only describes the subject, and may change; expected one of "
            f"{', '.join(declared.identity)}"
        )
    return ""


def _ended_by_errors(
    end: EndedBy, path: str, rule: Rule, catalogue: Catalogue
) -> Iterator[tuple[str, str]]:
    try:
        declared = catalogue.measurement(end.measurement)
    except UnknownName as unknown:
        yield path, str(unknown)
        return
    for name in (*end.same, *end.where, *end.like, *([end.names] if end.names else ())):
        if error := _identity_error(name, declared):
            yield path, error
            return
    for kind, names in (("same", end.same), ("only", end.only)):
        for name in names:
            if name not in rule.subject:
                hint = did_you_mean(name, rule.subject)
                yield f"{path}.{kind}", f"{name!r} is not in the rule's subject{hint}"
    if end.names and "about" not in rule.subject:
        yield f"{path}.names", "needs `about` in the rule's subject"
    if end.named and not end.names:
        yield f"{path}.named", "needs `names`, the tag that the event's `about` names"
    if end.when.aggregate != "last":
        yield f"{path}.when", "expected the latest value, without an aggregate"
    yield from _condition_errors(end.when, f"{path}.when", end.measurement, catalogue)


def _condition_errors(
    condition: Condition, path: str, measurement: str, catalogue: Catalogue
) -> Iterator[tuple[str, str]]:
    try:
        field = catalogue.measurement(measurement).field(condition.field)
    except UnknownName as unknown:
        yield f"{path}.field", str(unknown)
        return
    if field.type == "str":
        yield f"{path}.field", f"{condition.field!r} is text, expected a number"
    if condition.sure and (
        not field.weight
        or condition.aggregate != "last"
        or condition.comparison not in (">", ">=")
    ):
        yield (
            f"{path}.sure",
            "is for the latest value of a ratio whose count is known, with > or >=",
        )
    if (condition.aggregate == "last") != (condition.over == 0):
        yield (
            f"{path}.over",
            "`last` has no window" if condition.over else "is needed, such as 10m",
        )
    clear, threshold = condition.clear, condition.threshold
    if clear is not None:
        wrong_side = (condition.comparison in (">", ">=") and clear > threshold) or (
            condition.comparison in ("<", "<=") and clear < threshold
        )
        if wrong_side or condition.comparison in ("==", "!="):
            yield (
                f"{path}.clear",
                f"is {clear:g}, expected on the well side of {threshold:g}",
            )


def explains_errors(
    rules: Sequence[Rule], known: dict[str, tuple[Rule, str]]
) -> list[str]:
    """Errors in `explains`: unknown rules, subjects that do not fit, and loops."""
    errors = []
    reaches: dict[str, set[str]] = {}
    for rule in rules:
        for explains in rule.explains:
            for effect in explains.rules:
                if explains.relation == "same_part":
                    errors += _part_errors(rule, effect, known)
                    leads_to = None
                else:
                    leads_to = RELATION_SUBJECTS[explains.relation]
                    if leads_to is None and effect in known:
                        leads_to = frozenset(known[effect][0].subject)
                    if explains.relation == "same_device" and "device" in rule.subject:
                        leads_to = None
                if leads_to is not None and leads_to != set(rule.subject):
                    errors.append(
                        f"{known[rule.id][1]}: {rule.id} explains {effect} by "
                        f"{explains.relation}, which leads to subjects of "
                        f"{sorted(leads_to)}, not {sorted(rule.subject)}"
                    )
                for tag in explains.like if effect in known else ():
                    if tag not in known[effect][0].subject:
                        hint = did_you_mean(tag, known[effect][0].subject)
                        errors.append(
                            f"{known[rule.id][1]}: {rule.id} explains {effect} with a "
                            f"`like` of {tag!r}, which is not in its subject{hint}"
                        )
                if effect not in known:
                    hint = did_you_mean(effect, known)
                    errors.append(
                        f"{known[rule.id][1]}: {rule.id} explains {effect!r}, "
                        f"but no rule is called that{hint}"
                    )
                elif effect == rule.id and explains.relation not in TO_ITSELF:
                    errors.append(f"{known[rule.id][1]}: {rule.id} explains itself")
                elif explains.relation not in TO_ITSELF:
                    # Ancestors lead strictly upwards, so they never form a loop. Of two
                    # ends, one is taken as the cause.
                    reaches.setdefault(rule.id, set()).add(effect)
    for start in reaches:
        visited, todo = set[str](), [start]
        while todo:
            for effect in reaches.get(todo.pop(), ()):
                if effect == start:
                    # Two alerts that explain each other would suppress both.
                    errors.append(
                        f"{known[start][1]}: {start} explains itself through others"
                    )
                    todo.clear()
                    break
                if effect not in visited:
                    visited.add(effect)
                    todo.append(effect)
    return errors


def _part_errors(
    rule: Rule, effect: str, known: dict[str, tuple[Rule, str]]
) -> list[str]:
    """Errors in a `same_part`: nothing tells which part it is."""
    if effect not in known:
        return []
    read = {rule.measurement, *(end.measurement for end in rule.ended_by)}
    measured = known[effect][0].measurement
    if measured in read:
        return []
    return [
        f"{known[rule.id][1]}: {rule.id} explains {effect} by same_part, but neither "
        f"{rule.id} nor its `ended_by` reads {measured!r}: nothing tells which parts "
        "are the same"
    ]


def weaker_causes(rules: Sequence[Rule]) -> list[str]:
    """Errors: causes less severe than what they explain, whose page may be routed to
    nobody."""
    weight = {"info": 0, "warning": 1, "critical": 2}
    errors = []
    for rule in rules:
        # Of two alerts about the same part, the more severe one is paged.
        links = (link for link in rule.explains if link.relation != "same_part")
        for effect in (effect for link in links for effect in link.rules):
            for other in rules:
                if (
                    other.id == effect
                    and weight[rule.severity] < weight[other.severity]
                ):
                    errors.append(
                        f"{rule.id} ({rule.severity}) explains {other.id} "
                        f"({other.severity}): expected a cause at least as severe, or "
                        "its page might reach nobody"
                    )
    return sorted(set(errors))

"""Unknown names in rules, overrides, routes and silences. What can never match is an
error, because nobody would notice until a page is missing. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import get_args

from alerts.alert_config import AlertConfig
from alerts.maintenance_windows import Scope
from alerts.notify.routing import Route
from alerts.rule import Rule
from alerts.rule_files import Override, RuleCheck, Rules
from alerts.silence import Silence, silence_of
from collectors.estate import known_names
from collectors.estate.estate_model import Estate, Role
from collectors.snmp.profiles.profile_types import SensorClass
from probes.wire.catalogue import did_you_mean

KnownValues = Mapping[str, Collection[str]]
"""A tag, or a measurement's tag (`sensor.class`) → all its possible values. A tag that
is not listed may have any."""


def known_values(estate: Estate, events: Collection[str]) -> KnownValues:
    """Returns the values that rows can have with this estate; `events` names traps."""
    return {
        **{kind: known_names.ids(estate, kind) for kind in known_names.KINDS},
        "role": get_args(Role),
        "sensor.class": get_args(SensorClass),
        "event": events,
    }


def unknown_names_check(known: KnownValues) -> RuleCheck:
    """Returns a check that finds names in rules and overrides that no row can have."""

    def check(rule: Rule | Override, at: str) -> Iterator[tuple[str, str]]:
        names = {f"{at}.sites": ("site", rule.sites)}
        if isinstance(rule, Rule):
            names[f"{at}.not_sites"] = ("site", rule.not_sites)
            names |= {f"{at}.where.{tag}": (tag, v) for tag, v in rule.where.items()}
        measurement = rule.measurement if isinstance(rule, Rule) else ""
        for path, (tag, values) in names.items():
            possible = known.get(f"{measurement}.{tag}", known.get(tag))
            for value in values:
                # Traps without a name in any file are named by their OID.
                if possible is None or (tag == "event" and value.startswith("trap")):
                    continue
                if value not in possible:
                    hint = did_you_mean(value, possible)
                    yield path, f"no {tag} is called {value!r}{hint}"

    return check


def unknown_in_routes(
    config: AlertConfig, rules: Rules, estate: Estate
) -> Iterator[str]:
    """Yields a sentence for each name in a route that no alert can have."""
    for n, route in enumerate(config.routes, 1):
        at = f"alerts.routes[{n}]"
        for site in route.sites:
            if wrong := known_names.unknown_name_text(estate, "site", site):
                yield f"{at}.sites: {wrong}"
        for id in route.rules:
            severities = {rule.severity for _, rule in rules.find_all(id)}
            if not severities:
                yield f"{at}.rules: {describe_unknown_rule(id, rules)}"
            elif not severities & set(route.severities):
                yield (
                    f"{at}.rules: {id} is {' or '.join(sorted(severities))}, but "
                    f"severities is {', '.join(route.severities)}: it never matches"
                )
            owners = {rule.owner for _, rule in rules.find_all(id)}
            if owners and route.owners and not owners & set(route.owners):
                yield (
                    f"{at}.rules: the owner of {id} is {' or '.join(sorted(owners))}, "
                    f"but owners is {', '.join(route.owners)}: it never matches"
                )
    if all(route.owners for route in config.routes):
        yield from _owners_without_route(config.routes, rules)
    for where, rota in config.named_rotas():
        if rota not in config.rotas:
            hint = did_you_mean(rota, config.rotas)
            yield f"{where}: no rota is called {rota!r}{hint}"
    for where, channel in config.unknown_channels():
        others = [name for name in config.channels if f".{name}." not in where]
        hint = did_you_mean(channel, others)
        yield f"{where}: no other channel is called {channel!r}{hint}"


def _owners_without_route(routes: Sequence[Route], rules: Rules) -> Iterator[str]:
    """Critical alerts that nobody would be notified of, as no route is for their
    owner."""
    reached = {
        owner
        for route in routes
        if "critical" in route.severities
        for owner in route.owners
    }
    missed: dict[str, list[str]] = {}
    for rule in rules:
        if routes and rule.severity == "critical" and rule.owner not in reached:
            missed.setdefault(rule.owner, []).append(rule.id)
    for owner, ids in missed.items():
        yield (
            f"alerts.routes: no route takes critical alerts of the owner {owner} "
            f"({', '.join(ids)}): add one, or one without owners"
        )


def unknown_in_maintenance(
    config: AlertConfig, rules: Rules, estate: Estate
) -> Iterator[str]:
    """Yields a sentence for each name in planned maintenance that nothing has."""
    places: dict[str, Scope] = {
        f"alerts.maintenance[{n}]": window
        for n, window in enumerate(config.maintenance, 1)
    }
    places |= {f"alerts.calendars.{name}": c for name, c in config.calendars.items()}
    for place, scope in places.items():
        example = silence_of(scope.named, 0, 1)
        for problem in unknown_in_silence(example, rules, estate):
            yield f"{place}: {problem}"


def unknown_in_silence(silence: Silence, rules: Rules, estate: Estate) -> Iterator[str]:
    """Yields a sentence for each reason why `silence` can never cover an alert."""
    for kind in ("site", "device", "line"):
        name = getattr(silence, kind)
        if name and (wrong := known_names.unknown_name_text(estate, kind, name)):
            yield wrong
    suppliers = {line.supplier for line in estate.lines if line.supplier}
    if silence.supplier and silence.supplier not in suppliers:
        hint = did_you_mean(silence.supplier, suppliers)
        yield f"no line has the supplier {silence.supplier!r}{hint}"
    if silence.rule and not rules.find_all(silence.rule):
        yield describe_unknown_rule(silence.rule, rules)
    for kind, named, listed in (
        ("device", silence.device, estate.devices),
        ("line", silence.line, estate.lines),
    ):
        for entry in listed:
            if entry.id == named and silence.site not in ("", entry.site):
                yield (
                    f"{entry.id} is at {entry.site}, not at {silence.site}: "
                    f"name the {kind} alone"
                )


def unknown_in_events(config: AlertConfig, estate: Estate) -> Iterator[str]:
    """Yields a sentence for each room of a calendar that the estate does not have."""
    for name, calendar in config.events.items():
        if calendar.room:
            wrong = known_names.unknown_name_text(estate, "room", calendar.room)
            if wrong:
                yield f"alerts.events.{name}.room: {wrong}"


def describe_unknown_rule(id: str, rules: Rules) -> str:
    if id in rules.disabled:
        return f"{id} is disabled by an override"
    return f"no rule is called {id!r}{did_you_mean(id, rules.ids)}"

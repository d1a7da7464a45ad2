"""Names in rules, overrides, routes and silences that nothing has: what can never match
is an error, as it is noticed only when a page is missing. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import get_args

from alerts.alert_config import AlertConfig
from alerts.rule import Rule
from alerts.rule_files import Check, Override, Rules
from alerts.suppression import Silence
from collectors.estate import known_names
from collectors.estate.estate_model import Estate, Role
from collectors.snmp.profiles.profile_types import SensorClass
from probes.wire.catalogue import did_you_mean

Known = Mapping[str, Collection[str]]
"""A tag, or a measurement's tag (`sensor.class`) → every value it can have; tags that
are not there may have any."""


def known_values(estate: Estate, events: Collection[str]) -> Known:
    """What rows can say with this estate; `events` are what traps are called."""
    return {
        **{kind: known_names.ids(estate, kind) for kind in known_names.KINDS},
        "role": get_args(Role),
        "sensor.class": get_args(SensorClass),
        "event": events,
    }


def check_of(known: Known) -> Check:
    """Finds names in rules and overrides that no row can have."""

    def check(given: Rule | Override, at: str) -> Iterator[tuple[str, str]]:
        named = {f"{at}.sites": ("site", given.sites)}
        if isinstance(given, Rule):
            named[f"{at}.not_sites"] = ("site", given.not_sites)
            named |= {f"{at}.where.{tag}": (tag, v) for tag, v in given.where.items()}
        measurement = given.measurement if isinstance(given, Rule) else ""
        for path, (tag, values) in named.items():
            possible = known.get(f"{measurement}.{tag}", known.get(tag))
            for value in values:
                # Traps that no file names are called by their OID.
                if possible is None or (tag == "event" and value.startswith("trap")):
                    continue
                if value not in possible:
                    hint = did_you_mean(value, possible)
                    yield path, f"no {tag} is called {value!r}{hint}"

    return check


def of_routes(config: AlertConfig, rules: Rules, estate: Estate) -> Iterator[str]:
    """A sentence for each name in a route that no alert can have."""
    for n, route in enumerate(config.routes, 1):
        at = f"alerts.routes[{n}]"
        for site in route.sites:
            if wrong := known_names.unknown_name_text(estate, "site", site):
                yield f"{at}.sites: {wrong}"
        for id in route.rules:
            severities = {rule.severity for _, rule in rules.places(id)}
            if not severities:
                yield f"{at}.rules: {unknown_rule(id, rules)}"
            elif not severities & set(route.severities):
                yield (
                    f"{at}.rules: {id} is {' or '.join(sorted(severities))}, but "
                    f"severities is {', '.join(route.severities)}: it never matches"
                )
    for where, channel in config.unknown_channels():
        others = [name for name in config.channels if f".{name}." not in where]
        hint = did_you_mean(channel, others)
        yield f"{where}: no other channel is called {channel!r}{hint}"


def of_silence(silence: Silence, rules: Rules, estate: Estate) -> Iterator[str]:
    """A sentence for everything for which `silence` can never cover an alert."""
    for kind in ("site", "device"):
        name = getattr(silence, kind)
        if name and (wrong := known_names.unknown_name_text(estate, kind, name)):
            yield wrong
    if silence.rule and not rules.places(silence.rule):
        yield unknown_rule(silence.rule, rules)
    for device in estate.devices:
        if device.id == silence.device and silence.site not in ("", device.site):
            yield (
                f"{device.id} is at {device.site}, not at {silence.site}: "
                "name the device alone"
            )


def unknown_rule(id: str, rules: Rules) -> str:
    if id in rules.disabled:
        return f"{id} is disabled by an override"
    return f"no rule is called {id!r}{did_you_mean(id, rules.ids)}"

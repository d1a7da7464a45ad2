"""Looks up names that people type, and suggests what they may have meant. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from collectors.estate.estate_model import Estate
from probes.wire.catalogue import did_you_mean

# A tag or an option → the estate's section for it, and the noun for one entry.
_SECTIONS = {
    "site": ("sites", "site"),
    "home_site": ("sites", "site"),
    "device": ("devices", "device"),
    "line": ("lines", "line"),
    "room": ("rooms", "room"),
    "team": ("teams", "team"),
    "gateway": ("vpn_gateways", "VPN gateway"),
}
KINDS = frozenset(_SECTIONS)


def ids(estate: Estate, kind: str) -> list[str]:
    """Returns the ids of all entries of that kind."""
    return [entry.id for entry in getattr(estate, _SECTIONS[kind][0])]


def unknown_name_text(estate: Estate, kind: str, name: str) -> str:
    """Returns `no site is called 'hull'; did you mean 'hall'?`, or an empty text if
    `name` is an id. If it is the name of an entry, its id is suggested."""
    section, noun = _SECTIONS[kind]
    listed: Mapping[str, str] = {
        entry.id: getattr(entry, "name", "") for entry in getattr(estate, section)
    }
    if name in listed:
        return ""
    named = [id for id, label in listed.items() if label.casefold() == name.casefold()]
    hint = f"; did you mean {named[0]!r}?" if named else did_you_mean(name, listed)
    return f"no {noun} is called {name!r}{hint}"

"""What people name of the estate, and what they may have meant. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from collectors.estate.estate_model import Estate
from probes.wire.catalogue import did_you_mean

# A tag or an option → where the estate lists such things, and what one is called.
_SECTIONS = {
    "site": ("sites", "site"),
    "home_site": ("sites", "site"),
    "device": ("devices", "device"),
    "line": ("lines", "line"),
    "gateway": ("vpn_gateways", "VPN gateway"),
}
KINDS = frozenset(_SECTIONS)


def ids(estate: Estate, kind: str) -> list[str]:
    """The ids of everything of that kind."""
    return [each.id for each in getattr(estate, _SECTIONS[kind][0])]


def unknown(estate: Estate, kind: str, name: str) -> str:
    """`no site is called 'hull'; did you mean 'hall'?`, or the empty text if there is
    one. Who gives a name in place of an id is told the id."""
    section, noun = _SECTIONS[kind]
    listed: Mapping[str, str] = {
        each.id: getattr(each, "name", "") for each in getattr(estate, section)
    }
    if name in listed:
        return ""
    named = [id for id, shown in listed.items() if shown.casefold() == name.casefold()]
    hint = f"; did you mean {named[0]!r}?" if named else did_you_mean(name, listed)
    return f"no {noun} is called {name!r}{hint}"

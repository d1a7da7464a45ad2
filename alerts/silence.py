"""`Silence`: nobody is paged for what it covers between two times."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Silence(msgspec.Struct, frozen=True):
    """A silence or a maintenance window. Empty texts cover all.

    `planned`: announced maintenance, which reports show separately. `supplier` covers
    the lines of that supplier. `source`: where it comes from if it is one time of a
    recurring window, of the settings or of a calendar; empty if it was made by hand.
    `uid` names the window within its source.
    """

    id: int
    from_ms: int
    until_ms: int
    site: str = ""
    device: str = ""
    rule: str = ""
    why: str = ""
    who: str = ""
    planned: int = 0
    line: str = ""
    supplier: str = ""
    source: str = ""
    uid: str = ""

    def is_active(self, now_ms: int) -> bool:
        return self.from_ms <= now_ms < self.until_ms

    @property
    def scope(self) -> dict[str, str]:
        """Kind → name of what it is limited to, such as {"site": "library"}."""
        return {kind: name for kind in SCOPES if (name := getattr(self, kind))}

    @property
    def scope_text(self) -> str:
        """`site library, rule port_down`."""
        return scope_text(self.scope)


NOTHING_NAMED = (
    "expected a site, a device, a line, a supplier or a rule: silencing everything is "
    "not allowed"
)
SCOPES = ("site", "device", "line", "supplier", "rule")


def scope_text(scope: Mapping[str, str]) -> str:
    """`site library, rule port_down`."""
    return ", ".join(f"{kind} {name}" for kind, name in scope.items())


def silence_of(
    scope: Mapping[str, str], from_ms: int, until_ms: int, why: str = "", who: str = ""
) -> Silence:
    """A silence of what `scope` names, which has no number yet."""
    silence = Silence(0, from_ms, until_ms, why=why, who=who)
    return msgspec.structs.replace(silence, **scope)

"""Who a request comes from, and what they may see and do. Pure.

What each role may is one table, `ROLE_RIGHTS`. Its first line is what people may who
have not signed in. Pages ask `visitor.may(Right.SEE_DEVICES)`, never for a role.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec


class Right(StrEnum):
    """What a page, an action or a token of the API may need. The values are the
    scopes of tokens."""

    # The style sheet, whether Towpath works, the accessibility statement, signing in.
    SEE_PUBLIC = "see-public"
    # What the intranet shows: services and sites work or do not, without devices.
    SEE_SUMMARY = "see-summary"
    # Sites, lines, alerts, what is measured.
    SEE_STATUS = "see-status"
    # Devices, ports, neighbours, events.
    SEE_DEVICES = "see-devices"
    # Acknowledge, silence, plan maintenance.
    ACT_ON_ALERTS = "act-on-alerts"
    SEE_REPORTS = "see-reports"
    # Enrolled laptops, by pseudonym.
    SEE_FLEET = "see-fleet"
    # The last day of one laptop, with the code that it shows.
    OPEN_SUPPORT_CODE = "open-support-code"
    # Users, sessions, the audit log, tokens.
    ADMINISTER = "administer"


class Role(StrEnum):
    PUBLIC = "public"
    STAFF = "staff"
    SERVICE_DESK = "service desk"
    ENGINEER = "engineer"
    MANAGER = "manager"
    ADMIN = "admin"


_STAFF = frozenset({Right.SEE_PUBLIC, Right.SEE_SUMMARY, Right.SEE_STATUS})
ROLE_RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.PUBLIC: frozenset({Right.SEE_PUBLIC}),
    Role.STAFF: _STAFF,
    Role.SERVICE_DESK: _STAFF | {Right.SEE_DEVICES, Right.OPEN_SUPPORT_CODE},
    Role.ENGINEER: frozenset(Right) - {Right.ADMINISTER},
    Role.MANAGER: _STAFF | {Right.SEE_REPORTS},
    Role.ADMIN: frozenset(Right),
}
# Without sign-in, everybody whom the network lets reach the pages reads these.
WITHOUT_SIGN_IN = frozenset(
    {
        Right.SEE_PUBLIC,
        Right.SEE_SUMMARY,
        Right.SEE_STATUS,
        Right.SEE_DEVICES,
        Right.SEE_REPORTS,
    }
)


class VisitorSource(StrEnum):
    """How Towpath knows who it is."""

    NOBODY = "not signed in"
    PROXY = "the council's proxy"
    PROVIDER = "the council's sign-in"
    LOCAL_USER = "local user"
    TOKEN = "token"


class Visitor(msgspec.Struct, frozen=True):
    """`id` stays the same if the name changes; `name` is for people. Both are empty
    for nobody in particular."""

    name: str = ""
    id: str = ""
    roles: tuple[Role, ...] = ()
    source: VisitorSource = VisitorSource.NOBODY
    rights: frozenset[Right] = ROLE_RIGHTS[Role.PUBLIC]

    def may(self, right: Right) -> bool:
        return right in self.rights

    def with_rights(self, more: frozenset[Right]) -> Visitor:
        return msgspec.structs.replace(self, rights=self.rights | more)

    @property
    def is_signed_in(self) -> bool:
        return self.source is not VisitorSource.NOBODY


def rights_of(roles: Iterable[Role]) -> frozenset[Right]:
    """What these roles may together, and with them what everybody may."""
    return ROLE_RIGHTS[Role.PUBLIC].union(*(ROLE_RIGHTS[role] for role in roles))


def ordered_roles(roles: Iterable[Role]) -> tuple[Role, ...]:
    """Each once, in the order in which they are declared."""
    given = frozenset(roles)
    return tuple(role for role in Role if role in given)


def signed_in(
    name: str, id: str, roles: Iterable[Role], source: VisitorSource
) -> Visitor:
    """A visitor with what the roles may."""
    known = ordered_roles(roles)
    return Visitor(name, id, known, source, rights_of(known))

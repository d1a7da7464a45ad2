"""Tells who was at an end of a call: one of ours, an outsider or a service. Pure.

Accounts and names are dropped here. Both shapes are read: `associatedIdentity`, and the
older `identity`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from collectors.calls.call_record import LARGE_MEETING, Locate, PersonMask, Size
from collectors.calls.record_values import Json, Odd, as_object, as_objects, as_text
from collectors.calls.stream_verdict import StreamRules

_NO_ACCOUNT = "00000000-0000-0000-0000-000000000000"

Who = Literal["person", "room", "outsider", "phone", "service"]


class ParseContext(msgspec.Struct, frozen=True):
    """`tenant`: the council's directory id. `rooms`: account id or sign-in name, in
    small letters → room, for accounts of Teams Rooms."""

    tenant: str
    rules: StreamRules
    mask: PersonMask
    locate: Locate
    rooms: Mapping[str, str] = {}


class RecordEnd(NamedTuple):
    """One end of a session. Only ours (people and rooms) are kept."""

    who: Who
    person: int = 0
    room: str = ""

    @property
    def is_ours(self) -> bool:
        return self.who in ("person", "room")


def read_end(raw: Json, context: ParseContext, odd: Odd) -> RecordEnd:
    kind = as_text(raw.get("@odata.type"))
    agent = as_object(raw.get("userAgent"))
    if kind.endswith("serviceEndpoint") or as_text(agent.get("@odata.type")).endswith(
        "serviceUserAgent"
    ):
        return RecordEnd("service")
    identity = as_object(raw.get("identity"))
    return _account(as_object(raw.get("associatedIdentity")), identity, context, odd)


def read_participants(raw: Json, context: ParseContext, odd: Odd) -> list[RecordEnd]:
    """Those who took part, as the latest shape or the one before it lists them."""
    listed = as_objects(raw.get("participants_v2"))
    identities = [as_object(entry.get("identity")) for entry in listed]
    identities = identities or as_objects(raw.get("participants"))
    return [_account({}, identity, context, odd) for identity in identities]


def _account(
    associated: Json, identity: Json, context: ParseContext, odd: Odd
) -> RecordEnd:
    if identity.get("phone"):
        return RecordEnd("phone")
    user = as_object(identity.get("user"))
    account = as_text(associated.get("id")) or as_text(user.get("id"))
    if not account or account == _NO_ACCOUNT:
        if identity.get("applicationInstance") or identity.get("application"):
            return RecordEnd("service")
        others = any(value for name, value in identity.items() if name[:1] != "@")
        return RecordEnd("outsider" if others else "service")
    names = (
        account,
        as_text(associated.get("userPrincipalName")),
        as_text(user.get("userPrincipalName")),
    )
    tenant = as_text(associated.get("tenantId")) or as_text(user.get("tenantId"))
    if not tenant:
        odd["no_tenant"] += 1
        return RecordEnd("outsider", context.mask(account))
    if tenant.lower() != context.tenant:
        odd["other_tenant"] += 1
        return RecordEnd("outsider", context.mask(account))
    for name in names:
        if room := context.rooms.get(name.lower()):
            return RecordEnd("room", context.mask(account), room)
    return RecordEnd("person", context.mask(account))


def meeting_size(ends: Sequence[RecordEnd]) -> Size:
    """How many took part. Those without an account count each time they are named."""
    known = {end.person for end in ends if end.person}
    others = sum(end.who != "service" and not end.person for end in ends)
    if len(known) + others >= LARGE_MEETING:
        return "large"
    return "small" if len(known) + others > 2 else "two"

"""Reads Microsoft Graph's change notifications of call records. Pure.

A notification names a record, and has nothing of it. Knowing our address is enough to
send one, so only those with our `clientState` count.
"""

from __future__ import annotations

import hmac

import msgspec

from collectors.calls.record_list import RECORD_ID
from collectors.calls.record_values import as_object, as_objects, as_text

_LIFECYCLE = ("reauthorizationRequired", "subscriptionRemoved", "missed")


class Notifications(msgspec.Struct, frozen=True):
    """`ids` of records, `events` of the subscription itself, and how many entries were
    `refused`."""

    ids: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    refused: int = 0


def read_notifications(body: bytes, client_state: str) -> Notifications:
    """Returns what one request has. Never raises because of what is in it."""
    try:
        entries = as_objects(as_object(msgspec.json.decode(body)).get("value"))
    except (ValueError, RecursionError):
        entries = []
    if not entries:
        return Notifications(refused=1)
    ids: set[str] = set()
    events: set[str] = set()
    refused = 0
    ours = client_state.encode()
    for entry in entries:
        sent = as_text(entry.get("clientState")).encode(errors="replace")
        event = as_text(entry.get("lifecycleEvent"))
        id = as_text(as_object(entry.get("resourceData")).get("id"))
        if not hmac.compare_digest(sent, ours):
            refused += 1
        elif event in _LIFECYCLE:
            events.add(event)
        elif not event and RECORD_ID.fullmatch(id):
            ids.add(id)
        else:
            refused += 1
    return Notifications(frozenset(ids), frozenset(events), refused)

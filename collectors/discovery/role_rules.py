"""The role of a device by its sysObjectID and sysDescr: `roles.yaml` as rules. Pure,
but for loading the file once."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import get_args

import msgspec
import yaml

from collectors.estate.estate_model import Role
from collectors.snmp.session.oids import under

_FILE = Path(__file__).with_name("roles.yaml")
_ENTERPRISES = "1.3.6.1.4.1"


class RoleRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`object_id`: OIDs, of which one must contain sysObjectID. `descr`: a pattern that
    sysDescr must have."""

    role: str
    object_id: tuple[str, ...] = ()
    descr: str | None = None

    def length(self, object_id: str, descr: str) -> int | None:
        """Return the arcs of the OID that fits; None if the rule does not fit."""
        if self.descr is not None and not re.search(self.descr, descr):
            return None
        if not self.object_id:
            return 0
        fitting = [o for o in self.object_id if object_id == o or under(object_id, o)]
        return max((oid.count(".") + 1 for oid in fitting), default=None)


def find_role(object_id: str, descr: str) -> Role | None:
    """Return the role that the most specific rule gives; None if there is no rule."""
    best: tuple[int, bool] | None = None
    role: Role | None = None
    for rule in load_rules():
        length = rule.length(object_id, descr)
        if length is None:
            continue
        # A pattern that fits says more than the same OID alone.
        rank = (length, rule.descr is not None)
        if best is None or rank > best:
            best, role = rank, rule.role  # type: ignore[assignment]
    return role


@cache
def load_rules() -> tuple[RoleRule, ...]:
    rules = []
    for entry in yaml.safe_load(_FILE.read_text(encoding="utf-8")):
        oids = entry.get("object_id", ())
        oids = [oids] if isinstance(oids, str) else oids
        absolute = [
            o if o.startswith("1.3.6.") else f"{_ENTERPRISES}.{o}" for o in oids
        ]
        rule = msgspec.convert({**entry, "object_id": absolute}, RoleRule)
        if rule.role not in get_args(Role):
            raise ValueError(f"{_FILE}: {rule.role!r} is not a role")
        rules.append(rule)
    return tuple(rules)

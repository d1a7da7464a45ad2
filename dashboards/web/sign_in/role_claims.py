"""Who a person is and which roles they have, from the claims of the provider. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dashboards.web.sign_in.sign_in_refusal import NOT_GENUINE, SignInRefused
from dashboards.web.visitors import Role

_LONGEST_NAME = 80
GROUPS_LEFT_OUT = "the token has too many groups to list them (overage)"


def claim_values(claims: Mapping[str, Any], path: str) -> list[str]:
    """The texts of a claim: one, or a list. `realm_access.roles` leads into a claim,
    unless there is a claim of that whole name. A name within may have dots itself, as
    clients of Keycloak have: `resource_access.towpath.example.roles`."""
    value = _value_at(claims, path)
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for text in value if isinstance(text, str)]
    return []


def _value_at(value: Any, path: str) -> Any:
    if not isinstance(value, Mapping):
        return None
    if value.get(path) is not None:
        return value[path]
    parts = path.split(".")
    for count in range(len(parts) - 1, 0, -1):
        first, rest = ".".join(parts[:count]), ".".join(parts[count:])
        if first in value and (inner := _value_at(value[first], rest)) is not None:
            return inner
    return None


def roles_from(names: Iterable[str], known: Mapping[str, Role]) -> set[Role]:
    """What these names of roles and groups are here. Case does not matter: ids of
    groups are hexadecimal, and people type names."""
    folded = {name.strip().casefold(): role for name, role in known.items()}
    found = (folded.get(name.strip().casefold()) for name in names)
    return {role for role in found if role is not None}


def claimed_roles(
    claims: Mapping[str, Any],
    paths: Sequence[str],
    known: Mapping[str, Role],
    everybody: Role | None,
) -> set[Role]:
    """The roles of a person. Raises `SignInRefused` if there are none."""
    names = [name for path in paths for name in claim_values(claims, path)]
    roles = roles_from(names, known) or ({everybody} if everybody else set())
    if roles:
        return roles
    who = display_name(claims, ("name", "preferred_username", "email"))
    if groups_left_out(claims):
        raise SignInRefused(
            "You are in so many groups that your council's sign-in does not list them, "
            "so Towpath cannot see what you may do. Ask the people who run Towpath for "
            "a role of your own.",
            GROUPS_LEFT_OUT,
            who=who,
        )
    raise SignInRefused(
        "You have no role in Towpath. Ask the people who run Towpath for one.",
        "none of the roles and groups in the token has a role here",
        who=who,
    )


def groups_left_out(claims: Mapping[str, Any]) -> bool:
    """Whether Entra ID names a place to ask for the groups instead of listing them:
    in a token there is room for 200."""
    elsewhere = claims.get("_claim_names")
    return bool(claims.get("hasgroups")) or (
        isinstance(elsewhere, Mapping) and "groups" in elsewhere
    )


def display_name(claims: Mapping[str, Any], names: Sequence[str]) -> str:
    """The first of these claims that has a text, on one line."""
    for name in names:
        for text in claim_values(claims, name):
            if line := " ".join(text.split())[:_LONGEST_NAME]:
                return line
    return ""


def stable_id(claims: Mapping[str, Any], names: Sequence[str]) -> str:
    """The person's id, which stays the same for good. Raises `SignInRefused`."""
    for name in names:
        for text in claim_values(claims, name):
            if text:
                return text[:255]
    raise SignInRefused(NOT_GENUINE, "the token has none of the claims of id_claims")

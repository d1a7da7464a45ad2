"""A window's rows as groups count them: once each, with VPN product and team. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from collectors.experience.agent_results import AgentPlace, AgentResult


def without_duplicates(rows: Iterable[AgentResult]) -> list[AgentResult]:
    """Keeps the first of rows that were delivered twice."""
    first: dict[object, AgentResult] = {}
    for row in rows:
        key = (row.kind, row.target, row.agent, row.location, row.time_ms)
        first.setdefault(key, row)
    return list(first.values())


def vpn_products(rows: Iterable[AgentResult]) -> dict[str, str]:
    """Returns agent → its VPN's product, of those that reported one."""
    vpn_rows = [row for row in rows if row.kind == "vpn" and row.values]
    vpn_rows.sort(key=lambda row: row.time_ms)
    return {row.agent: product for row in vpn_rows if (product := row.text("product"))}


def with_vpn_products(
    rows: Iterable[AgentResult], products: Mapping[str, str]
) -> list[AgentResult]:
    """Replaces `up` by the VPN's product of the agent, if it is in `products`."""
    places: dict[tuple[AgentPlace, str], AgentPlace] = {}

    def with_product(row: AgentResult) -> AgentResult:
        product = products.get(row.agent)
        if row.location.vpn != "up" or product is None:
            return row
        key = (row.location, product)
        if key not in places:
            places[key] = msgspec.structs.replace(row.location, vpn=product)
        return msgspec.structs.replace(row, location=places[key])

    return [with_product(row) for row in rows]


def with_teams(
    rows: Sequence[AgentResult], teams: Mapping[str, str]
) -> Sequence[AgentResult]:
    """The rows with the team of each agent."""
    if not teams:
        return rows
    places: dict[tuple[AgentPlace, str], AgentPlace] = {}

    def in_team(row: AgentResult) -> AgentResult:
        team = teams.get(row.agent, "")
        if not team:
            return row
        key = (row.location, team)
        if key not in places:
            places[key] = msgspec.structs.replace(row.location, team=team)
        return msgspec.structs.replace(row, location=places[key])

    return [in_team(row) for row in rows]

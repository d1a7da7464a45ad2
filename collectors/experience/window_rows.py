"""A window's rows as groups count them: once each, with VPN product and team. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from collectors.experience.agent_results import AgentPlace, AgentResult


def without_duplicates(rows: Sequence[AgentResult]) -> list[AgentResult]:
    """Removes rows that were delivered twice."""
    return list(
        {
            (row.kind, row.target, row.agent, row.location, row.time_ms): row
            for row in rows
        }.values()
    )


def with_vpn_products(
    rows: Sequence[AgentResult], earlier: Sequence[AgentResult]
) -> tuple[list[AgentResult], list[AgentResult]]:
    """Replaces `up` by the VPN's product, if the agent reported one."""
    vpn_rows = [row for row in rows if row.kind == "vpn" and row.values]
    vpn_rows.sort(key=lambda row: row.time_ms)
    products = {
        row.agent: product for row in vpn_rows if (product := row.text("product"))
    }
    places: dict[tuple[AgentPlace, str], AgentPlace] = {}

    def with_product(row: AgentResult) -> AgentResult:
        product = products.get(row.agent)
        if row.location.vpn != "up" or product is None:
            return row
        key = (row.location, product)
        if key not in places:
            places[key] = msgspec.structs.replace(row.location, vpn=product)
        return msgspec.structs.replace(row, location=places[key])

    return [with_product(row) for row in rows], [with_product(row) for row in earlier]


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

"""What laptops measure along the route of a call, hop by hop, for groups of them."""

from __future__ import annotations

from dashboards.grafana.board import BoardRow, PanelQuery, steps_of_rule
from dashboards.grafana.boards.call_panels import graph, of_groups
from dashboards.grafana.boards.rule_texts import what_to_do


def route_row(title: str, kind: str = "", **variables: str) -> BoardRow:
    """Returns a closed row of graphs from the laptop to Microsoft, for the groups of
    one kind or those that `variables` select."""

    def figure(name: str) -> PanelQuery:
        return of_groups((name, "mean"), kind=kind, **variables)

    return BoardRow(
        title,
        (
            graph(
                "Laptop: is it busy?",
                "Share of readings with processor or memory nearly full. High: the "
                "laptops are too small, or something runs in the background.",
                figure("laptop_busy_ratio"),
                width=8,
                soft=(0, 0.2),
            ),
            graph(
                "Wi-Fi: is it too weak?",
                "Share of readings of laptops on Wi-Fi at -75 dBm or below, too weak "
                f"for calls. {what_to_do('wifi_weak_site')}",
                figure("wifi_weak_ratio"),
                steps_of_rule("wifi_weak_site"),
                width=8,
                soft=(0, 0.2),
            ),
            graph(
                "First router: is it lost or slow?",
                "Share of path tests with 2% loss or 40 ms to the router of the "
                "network the laptop is in. High: its Wi-Fi, or the router at home.",
                figure("gateway_poor_ratio"),
                width=8,
                soft=(0, 0.2),
            ),
            graph(
                "Provider: how long is the delay to it?",
                "95th percentile of round trips to the provider's first router. A rise "
                "in the evening: the line or the provider is full.",
                figure("provider_rtt_p95_ms"),
                width=8,
                soft=(0, 20),
            ),
            graph(
                "Provider: is something lost on the way to it?",
                "Mean loss to the provider's first router. Good: below 1%.",
                figure("provider_loss_mean_ratio"),
                width=8,
                soft=(0, 0.02),
            ),
            graph(
                "Council's edge: how long is the delay to it?",
                "95th percentile of round trips to the council's reflector. Higher "
                "than to the provider by much: the route between them, or the VPN.",
                figure("edge_rtt_p95_ms"),
                width=8,
                soft=(0, 50),
            ),
            graph(
                "Council's edge: is something lost on the way to it?",
                "Mean loss to the council's reflector. Good: below 1%. More than to "
                "the provider: the route between them, or the council's Internet line.",
                figure("edge_loss_mean_ratio"),
                width=8,
                soft=(0, 0.02),
            ),
            graph(
                "Microsoft: do Teams relays answer?",
                "Share of tests to a Teams relay without an answer. A relay need not "
                f"answer, so only a change counts. {what_to_do('relay_blocked_site')}",
                figure("relay_blocked_ratio"),
                steps_of_rule("relay_blocked_site", field="relay_blocked_ratio"),
                width=8,
                soft=(0, 0.2),
            ),
            graph(
                "Microsoft: how long is the delay to a Teams relay?",
                "95th percentile of round trips. Higher at home than in offices: look "
                "whether Teams goes through the VPN.",
                figure("relay_rtt_p95_ms"),
                width=8,
                soft=(0, 50),
            ),
        ),
        collapsed=True,
    )

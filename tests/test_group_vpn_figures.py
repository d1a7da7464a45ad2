"""The figures of a group that are about the VPN."""

from collections.abc import Iterable

import pytest
from group_rows import (
    END_MS,
    T0_MS,
    agent_rows,
    calls,
    place_of,
    results,
    shown_groups,
    window_of,
)

from probes.wire.failure import Outcome
from probes.wire.sample import Sample, Value


def test_a_vpn_that_is_up_has_the_name_of_its_product() -> None:
    up, down = place_of(vpn="up"), place_of(vpn="down")
    vpn = (1, "WireGuard", 0, 30.0, 0.0, 20.0, 0.0, None, "tunnelled", None)
    rows = [
        *calls(range(12), up),
        *agent_rows(range(12), "vpn", up, *vpn),
        *calls(range(20, 32), down),
    ]
    shown = shown_groups(rows)
    assert {group for by, group in shown if by == "vpn"} == {"WireGuard", "down"}
    assert shown["vpn", "WireGuard"]["tunnel_added_p50_ms"] == 10.0
    assert shown["vpn", "WireGuard"]["teams_tunnelled_ratio"] == 1.0


def vpn_results(agents: Iterable[int], **fields: Value) -> dict[str, Value]:
    """The figures of all laptops, of one result of the VPN each."""
    rows = results(agents, "vpn", {"outcome": "ok", "up": 1, **fields}, T0_MS)
    samples = window_of(rows, T0_MS).samples(END_MS)
    return next(s.fields for s in samples if s.tags["by"] == "all")


def test_the_tunnel_is_compared_with_the_direct_path_by_the_same_checks() -> None:
    shown = vpn_results(
        range(12),
        tunnel_rtt_ms=30.0,
        direct_rtt_ms=20.0,
        tunnel_loss_ratio=0.2,
        direct_loss_ratio=0.0,
    )
    assert (shown["tunnel_rtt_p50_ms"], shown["direct_rtt_p50_ms"]) == (30.0, 20.0)
    assert shown["tunnel_loss_mean_ratio"] == pytest.approx(0.2)
    assert shown["direct_loss_mean_ratio"] == 0.0
    assert (shown["tunnel_checks"], shown["tunnel_loss_checks"]) == (10, 10)


def test_a_tunnel_through_which_nothing_arrives_has_a_loss_and_no_delay() -> None:
    shown = vpn_results(
        range(12), direct_rtt_ms=20.0, tunnel_loss_ratio=1.0, direct_loss_ratio=0.0
    )
    assert shown["tunnel_loss_mean_ratio"] == 1.0
    assert not {"tunnel_rtt_p50_ms", "direct_rtt_p50_ms"} & shown.keys()


def test_how_long_a_vpn_takes_to_connect_needs_enough_laptops_that_connected() -> None:
    assert vpn_results(range(12), connect_s=6.0)["vpn_connect_p50_s"] == 6.0
    up: dict[str, Value] = {"outcome": "ok", "up": 1}
    some = [
        *results(range(9), "vpn", {**up, "connect_s": 6.0}, T0_MS),
        *results(range(9, 40), "vpn", up, T0_MS),
    ]
    for sample in window_of(some, T0_MS).samples(END_MS):
        assert "vpn_connect_p50_s" not in sample.fields
        assert sample.fields["vpn_up_ratio"] == 1.0


def test_a_laptop_whose_vpn_reconnected_twice_counts_once_and_in_no_office() -> None:
    up: dict[str, Value] = {"outcome": "ok", "up": 1}
    rows = [
        *results(range(10), "vpn", {**up, "reconnects": 2}, T0_MS),
        *results(range(10, 40), "vpn", {**up, "reconnects": 0}, T0_MS),
        # Not watched for long enough.
        *results(range(40, 60), "vpn", up, T0_MS),
    ]
    office = [
        Sample(row.measurement, {**row.tags, "place": "office"}, row.fields, T0_MS)
        for row in results(range(100, 130), "vpn", {**up, "reconnects": 9}, T0_MS)
    ]
    samples = window_of([*rows, *office], T0_MS).samples(END_MS)
    shown = {(s.tags["by"], s.tags["group"]): s.fields for s in samples}
    assert shown["all", "all"]["vpn_reconnected_ratio"] == pytest.approx(10 / 40)
    assert shown["all", "all"]["reconnect_laptops"] == 40
    assert "vpn_reconnected_ratio" not in shown["place", "office"]


def test_laptops_in_offices_do_not_lower_the_share_of_vpns_that_are_up() -> None:
    up: dict[str, Value] = {"outcome": Outcome.OK.value, "up": 1}
    down: dict[str, Value] = {"outcome": Outcome.NOT_CONNECTED.value}
    office = [
        Sample(
            row.measurement, {**row.tags, "place": "office"}, row.fields, row.time_ms
        )
        for row in results(range(100, 130), "vpn", down, T0_MS)
    ]
    window = window_of([*results(range(12), "vpn", up, T0_MS), *office], T0_MS)
    shares = {
        (sample.tags["by"], sample.tags["group"]): sample.fields.get("vpn_up_ratio")
        for sample in window.samples(END_MS)
    }
    assert shares["place", "home"] == 1.0
    assert shares["all", "all"] == 1.0
    assert shares["place", "office"] is None

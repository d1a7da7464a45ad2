"""The probes measure exactly the loss and rates that were set on a path."""

from collections.abc import Iterator

import pytest
from shaped_path import FAR, FAR6, ShapedPath, shaped_path

pytestmark = pytest.mark.netns
PACKETS = 600
RUN = {"packets": PACKETS, "interval_ms": 3}


@pytest.fixture(scope="module")
def path() -> Iterator[ShapedPath]:
    with shaped_path() as path:
        yield path


@pytest.fixture(scope="module")
def ports(path: ShapedPath) -> Iterator[dict[str, int]]:
    with path.reflector(FAR, FAR6) as ports:
        yield ports


def within(ratio: float, sent: int) -> object:
    """Within four standard deviations of a binomial: one run in 16,000 is outside."""
    return pytest.approx(ratio, abs=4 * (ratio * (1 - ratio) / sent) ** 0.5)


def test_the_loss_set_in_each_direction_is_measured(path, ports):
    path.lose(out_percent=8, in_percent=3)
    result = path.measure("call_path", "r1", FAR, ports["stamp"], **RUN)
    path.lose()
    assert result["outcome"] == "ok"
    values = result["values"]
    assert values["sent"] == PACKETS
    assert values["loss_out_ratio"] == within(0.08, PACKETS)
    assert values["loss_in_ratio"] == within(0.03, PACKETS)
    assert values["loss_ratio"] == within(1 - 0.92 * 0.97, PACKETS)
    assert values["received"] == round((1 - values["loss_ratio"]) * PACKETS)
    assert values["poor"] == 1
    assert values["mos_estimated"] < 4.2


def test_loss_in_one_direction_is_not_blamed_on_the_other(path, ports):
    path.lose(in_percent=10)
    result = path.measure("call_path", "r1", FAR, ports["stamp"], **RUN)
    path.lose()
    values = result["values"]
    assert values["loss_in_ratio"] == within(0.10, PACKETS)
    assert values["loss_out_ratio"] == 0


def test_a_clean_ipv6_path_has_no_loss_and_keeps_the_dscp(path, ports):
    result = path.measure(
        "call_path", "r1", FAR6, ports["stamp"], packets=300, interval_ms=4
    )
    assert result["outcome"] == "ok"
    assert result["values"]["loss_ratio"] == 0
    assert result["values"]["dscp_arrived"] == 46
    assert result["cost_bytes"] == 300 * 2 * (112 + 48)


def test_dropped_udp_while_tcp_passes_is_udp_blocked(path, ports):
    path.refuse_udp()
    blocked = path.measure(
        "call_path", "r1", FAR, ports["stamp"], tcp_port=ports["web"], **RUN
    )
    path.lose()
    assert blocked["outcome"] == "udp_blocked"
    assert "loss_ratio" not in blocked.get("values", {})


def test_without_a_route_there_is_no_network(path):
    result = path.measure("call_path", "r1", "192.0.2.1", 862)
    assert result["outcome"] == "no_network"


def test_the_rates_set_in_each_direction_are_measured(path, ports):
    # The shaper counts Ethernet frames; 1448 of 1514 octets are payload.
    down_bps, up_bps = (mbps * 1e6 * 1448 / 1514 for mbps in (40, 15))
    for last in (False, False, True):
        path.limit(down_mbps=40, up_mbps=15)
        result = path.measure(
            "bandwidth",
            f"ws://{FAR}:{ports['web']}",
            budget_bytes=10**9,
            seconds=3.0,
        )
        path.limit(down_mbps=10_000, up_mbps=10_000)
        assert result["outcome"] == "ok"
        values = result["values"]
        assert values["down_bps"] <= down_bps * 1.1
        assert values["up_bps"] <= up_bps * 1.1
        # A machine that is busy with other things may be slower than the path.
        are_reached = (
            values["down_bps"] >= down_bps * 0.9 and values["up_bps"] >= up_bps * 0.9
        )
        if are_reached or last:
            break
    assert are_reached, values
    assert values["at_least"] == 0
    # There was a queue, of 60 ms at most: how full depends on the sender's pace.
    assert values["rtt_idle_ms"] + 1 < values["rtt_loaded_ms"] < 100

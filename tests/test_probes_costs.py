"""What a day costs is within what staff are told."""

import pytest

from probes.diagnosis import data_costs
from probes.diagnosis.what_we_collect import what_we_collect
from probes.wire.path_probes import CALL_PACKETS, VOICE_BYTES
from probes.wire.policy import Policy, TeamsRelay

TYPICAL = Policy(teams_relay=TeamsRelay(host="relay"))


@pytest.mark.parametrize("ip", [4, 6])
def test_a_day_and_night_stays_below_25_megabytes_and_5_where_it_is_paid_for(ip):
    usual = data_costs.day(TYPICAL, metered=False, services=5, names=3, ip=ip)
    metered = data_costs.day(TYPICAL, metered=True, services=5, names=3, ip=ip)
    assert data_costs.total(usual) < 25_000_000
    assert data_costs.total(metered) < 5_000_000


def test_the_call_path_is_its_packets_both_ways():
    line = data_costs.day(Policy(), metered=False)[0]
    assert line.what == "call_path"
    assert line.each_bytes == CALL_PACKETS * 2 * (VOICE_BYTES + 28)
    assert (line.runs, line.day_bytes) == (96, 13_440_000)


def test_what_a_policy_switches_off_costs_nothing():
    lines = data_costs.day(Policy(cadence_s={"call_path": 0, "path": 0}), metered=False)
    assert not {"call_path", "path", "web"} & {each.what for each in lines}


def test_the_sum_is_shown_to_whoever_asks_what_is_collected():
    said = what_we_collect()
    assert "call_path       140.0 kB x   96 =  13.4 MB" in said
    assert "call_path       140.0 kB x   12 =   1.7 MB" in said

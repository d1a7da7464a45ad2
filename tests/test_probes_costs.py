"""The agent uses no more data in a day than staff are promised."""

import pytest

from probes.diagnosis import data_costs
from probes.diagnosis.what_we_collect import what_we_collect
from probes.wire.path_probes import CALL_PACKETS, VOICE_BYTES
from probes.wire.policy import Policy, TeamsRelay

TYPICAL = Policy(teams_relay=TeamsRelay(host="relay"))


@pytest.mark.parametrize("ip", [4, 6])
def test_a_day_stays_below_25_megabytes_and_below_5_on_a_metered_line(ip):
    usual = data_costs.day(TYPICAL, metered=False, services=5, names=3, ip=ip)
    metered = data_costs.day(TYPICAL, metered=True, services=5, names=3, ip=ip)
    assert data_costs.total(usual) < 25_000_000
    assert data_costs.total(metered) < 5_000_000


def test_the_call_path_costs_its_packets_in_both_directions():
    line = data_costs.day(Policy(), metered=False)[0]
    assert line.name == "call_path"
    assert line.run_bytes == CALL_PACKETS * 2 * (VOICE_BYTES + 28)
    assert (line.runs, line.day_bytes) == (96, 13_440_000)


def test_a_probe_that_the_policy_switches_off_costs_nothing():
    lines = data_costs.day(Policy(cadence_s={"call_path": 0, "path": 0}), metered=False)
    assert not {"call_path", "path", "web"} & {line.name for line in lines}


def test_what_we_collect_shows_the_data_used():
    text = what_we_collect()
    assert "Call quality      140.0 kB x   96 =  13.4 MB" in text
    assert "Call quality      140.0 kB x   12 =   1.7 MB" in text

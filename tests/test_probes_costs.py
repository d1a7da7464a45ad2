"""The agent uses no more data in a day than staff are promised."""

import pytest
from documents import text_of

from collectors.estate.estate_model import Estate
from probes.diagnosis.what_we_collect import day_table, what_we_collect
from probes.wire import data_costs
from probes.wire.path_probes import CALL_PACKETS, VOICE_BYTES
from probes.wire.policy import Policy
from towpath.check import _data_problems
from towpath.config import TowpathConfig


@pytest.mark.parametrize("ip", [4, 6])
def test_a_day_stays_below_25_megabytes_and_below_5_on_a_metered_line(ip):
    usual = data_costs.typical_day(metered=False, ip=ip)
    # What a start or bad minutes add is bounded by what is left of the day's budget.
    assert data_costs.regular_bytes(usual) < 25_000_000
    assert ip == 6 or data_costs.total(usual) < 24_000_000
    assert data_costs.total(data_costs.typical_day(metered=True, ip=ip)) < 5_000_000


def test_the_staff_page_has_the_data_of_each_probe():
    assert day_table() in text_of("docs/staff.md"), day_table()


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


def test_check_warns_of_a_policy_that_needs_more_than_the_days_data():
    def warned(**policy):
        config = TowpathConfig.model_validate({"ingest": {"policy": policy}})
        return list(_data_problems(config, Estate()))

    often = {"call_path": 300}
    assert warned() == []
    none = {"budget_bytes_per_day": 0, "metered_budget_bytes_per_day": 0}
    assert warned(cadence_s=often, **none) == []
    usual, metered = warned(cadence_s=often)
    assert usual.startswith("ingest.policy: in 24 hours a laptop would use 4")
    assert usual.endswith("but budget_bytes_per_day allows 25 MB: it leaves rounds out")
    assert "on metered lines, but metered_budget_bytes_per_day" in metered
    (ring,) = warned(rings={"pilot": {"metered_cadence_s": {"path": 60}}})
    assert ring.startswith("ingest.policy.rings.pilot: ")

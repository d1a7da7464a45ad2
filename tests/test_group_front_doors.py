"""Figures of a group about Microsoft's front doors, apart from those of other web
services, so that it can be told who is at fault."""

from __future__ import annotations

import pytest
from group_rows import LEAST, T0_MS, place_of, shown_groups
from hypothesis import given
from hypothesis import strategies as st

from collectors.batch import batch_samples
from collectors.estate import Estate
from collectors.experience.agent_results import AgentResult, read_results
from collectors.experience_measurement import EXPERIENCE
from collectors.ingest.ingest_config import PolicyConfig
from collectors.ingest.policies import agent_policy
from collectors.ingest.tag_limits import allowed_targets
from probes.wire.diagnosis import is_microsoft
from probes.wire.front_doors import FRONT_DOORS
from probes.wire.sample import Sample

TIMES = ("lookup_ms", "connect_ms", "tls_ms", "first_byte_ms", "total_ms")
_ALL = ("all", "all")


def _web(
    laptops: int,
    target: str,
    times: tuple[float | None, ...] = (4.0, 10.0, 20.0, 30.0, 64.0),
    worked: int = 1,
) -> list[AgentResult]:
    return [
        AgentResult(T0_MS, T0_MS, f"a{n}", place_of(), "web", target, (*times, worked))
        for n in range(laptops)
    ]


def test_each_front_door_has_its_own_share_of_answers_and_time() -> None:
    nothing = (None,) * len(TIMES)
    rows = [
        *_web(12, "Microsoft Teams"),
        *_web(12, "Exchange Online", (4.0, 30.0, 90.0, 200.0, 324.0)),
        *_web(12, "Microsoft sign-in", nothing, worked=0),
        *_web(12, "payroll", (1.0, 2.0, 3.0, 4.0, 10.0)),
    ]
    figures = shown_groups(rows)[_ALL]
    assert figures["microsoft_teams_ok_ratio"] == 1.0
    assert figures["microsoft_teams_total_p50_ms"] == 64.0
    # To two digits: 324 exactly would be one laptop's.
    assert figures["microsoft_exchange_total_p50_ms"] == 320.0
    assert figures["microsoft_sign_in_ok_ratio"] == 0.0
    assert "microsoft_sign_in_total_p50_ms" not in figures
    assert figures["other_web_ok_ratio"] == 1.0
    assert figures["other_web_total_p50_ms"] == 10.0
    assert figures["microsoft_ok_ratio"] == pytest.approx(2 / 3)
    assert figures["web_ok_ratio"] == pytest.approx(3 / 4)
    assert figures["microsoft_connect_p50_ms"] == 10.0


@given(st.integers(1, LEAST - 1), st.integers(LEAST, 3 * LEAST))
def test_a_front_door_that_too_few_laptops_time_has_no_figure(
    few: int, many: int
) -> None:
    rows = [*_web(many, "Microsoft Teams"), *_web(few, "Exchange Online")]
    figures = shown_groups(rows)[_ALL]
    assert "microsoft_teams_ok_ratio" in figures
    assert not [name for name in figures if name.startswith("microsoft_exchange")]
    # All less Teams would be Exchange.
    assert not figures.keys() & {"microsoft_ok_ratio", "web_ok_ratio"}
    assert "microsoft_connect_p50_ms" in figures


@pytest.mark.parametrize("target", ["SharePoint in Microsoft 365", "payroll"])
def test_a_total_is_hidden_if_only_a_few_laptops_have_one_part_of_it(
    target: str,
) -> None:
    def ratios(few: int) -> set[str]:
        rows = [*_web(30, "Microsoft Teams"), *_web(few, target)]
        names = {"microsoft_ok_ratio", "web_ok_ratio"}
        return names & shown_groups(rows)[_ALL].keys()

    assert ratios(LEAST) == {"microsoft_ok_ratio", "web_ok_ratio"}
    assert "web_ok_ratio" not in ratios(LEAST - 1)
    assert ("microsoft_ok_ratio" in ratios(LEAST - 1)) == (target == "payroll")


def test_the_phases_of_a_request_are_read_from_a_laptops_results() -> None:
    tags = {"agent": "a1", "target": "Microsoft Teams", "place": "home"}
    times = {name: float(n) for n, name in enumerate(TIMES)}
    row = Sample("web", tags, {"outcome": "ok", "ok": 1, **times}, T0_MS)
    [batch] = batch_samples([row], "x", T0_MS)
    [result] = read_results(batch, {})
    assert {name: result.figure(name) for name in TIMES} == times
    assert result.figure("worked") == 1


def test_laptops_time_every_front_door_and_may_report_it() -> None:
    policy = PolicyConfig()
    asked = {service.name for service in agent_policy(Estate(), policy, "").services}
    assert asked == {door.name for door in FRONT_DOORS.values()}
    assert asked <= allowed_targets(Estate(), policy)["web"]
    assert all(is_microsoft(name) for name in asked)
    names = {field.name for field in EXPERIENCE.fields}
    for name in FRONT_DOORS:
        assert {f"microsoft_{name}_ok_ratio", f"microsoft_{name}_checks"} <= names
    without = PolicyConfig(microsoft_365=False)
    assert not agent_policy(Estate(), without, "").services

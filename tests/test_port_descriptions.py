"""The description of a port is stored with its figures, and never identifies it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polled_switches import QUICK, device, estate, polling
from rule_window import ESTATE_INDEX, START_MS, rules_named
from stores import DAY, HOUR, START, embedded
from waiting import until

from alerts.evaluation.rule_evaluation import evaluate
from alerts.rule_files import RuleError, load_rule_files
from alerts.window import Window
from collectors.batch import batch_samples
from collectors.server_measurements import CATALOGUE
from collectors.snmp.session import oids
from collectors.snmp.tables.interfaces import MAX_DESCRIPTION, Port, parse_ports
from collectors.store.query import Pick, Query, Row, Where
from probes.wire.catalogue import Catalogue
from probes.wire.sample import Sample
from towpath.demo.simulated_switches import SimulatedSwitch

MINUTE = 60_000
PLACE = {"device": "d1", "site": "hall", "role": "switch", "port": "Gi1"}


def rolled_up_files(folder: Path) -> list[Path]:
    return list(folder.rglob("shared-5m/*/*/*.parquet"))


def described(alias: str | None, name: str = "Gi1/0/1") -> str:
    descr = name.replace("Gi", "GigabitEthernet")
    return Port(1, name, True, name=name, descr=descr, alias=alias).description


@pytest.mark.parametrize(
    ("alias", "description"),
    [
        (None, ""),
        ("", ""),
        ("Gi1/0/1", ""),
        ("gigabitethernet1/0/1", ""),
        ("GigabitEthernet1/0/1 Interface", ""),
        ("Uplink to core-1", "Uplink to core-1"),
        ("Gi1/0/1 to Neuadd y Dref, Llŷn", "Gi1/0/1 to Neuadd y Dref, Llŷn"),
        ("  two   spaces ", "two spaces"),
    ],
)
def test_a_description_is_what_somebody_wrote_and_not_a_name_again(
    alias: str | None, description: str
) -> None:
    assert described(alias) == description


@given(st.binary(max_size=300))
def test_any_octets_make_a_short_description_on_one_line(octets: bytes) -> None:
    columns = {oids.IF_NAME: {1: b"Gi1"}, oids.IF_ALIAS: {1: octets}}
    [port] = parse_ports(columns)
    assert len(port.description) <= MAX_DESCRIPTION
    assert port.description.isprintable()
    assert port.description == port.description.strip()


async def test_a_port_keeps_its_rates_when_its_description_changes() -> None:
    async with SimulatedSwitch("a", 3) as switch:
        switch.port("Gi1/0/1").alias = "camera at the gate"
        async with polling(estate(device("a", switch))) as (sink, _):
            port = {"device": "a", "port": "Gi1/0/1"}
            await until(lambda: len(sink.rows("interface", **port)) >= 3, "polls")
            switch.port("Gi1/0/1").alias = "camera at the door"
            changed = {**port, "description": "camera at the door"}
            await until(lambda: sink.rows("interface", **changed), "the description")
    before = {**port, "description": "camera at the gate"}
    assert len(sink.rows("interface", **before)) >= 3
    assert all("in_bps" in row for row in sink.rows("interface", **changed))
    assert "description" not in sink.rows("interface", port="Gi1/0/2")[0]


async def test_descriptions_can_be_left_out() -> None:
    config = QUICK.model_copy(update={"port_descriptions": False})
    async with SimulatedSwitch("a", 1) as switch:
        switch.port("Gi1/0/1").alias = "desk of J. Doe"
        async with polling(estate(device("a", switch)), config) as (sink, _):
            await until(lambda: sink.rows("interface"), "a poll")
    assert not any("description" in row for row in sink.rows("interface"))


def test_an_alert_about_a_port_goes_on_when_its_description_changes() -> None:
    window = Window(rules_named("port_down"), CATALOGUE, START_MS)
    for minute, description in enumerate(("old", "old", "new")):
        at_ms = START_MS + minute * MINUTE
        tags = {**PLACE, "description": description}
        up = int(description == "new")
        sample = Sample("interface", tags, {"up": up, "expected_up": 1}, at_ms)
        window.append(*batch_samples([sample], "poll", at_ms))
        states = evaluate(window, ESTATE_INDEX, {}, at_ms + 1_000)
        down = ["port_down/device=d1,port=Gi1"] if not up else []
        assert [key for key, state in states.items() if state] == down
    assert len(window) == 1


def test_a_rule_cannot_be_about_a_description(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        """
rules:
  - id: own_port_down
    title: A port is down
    severity: warning
    measurement: interface
    subject: [device, description]
    when: [{field: up, is: "<", threshold: 1}]
    summary: "{device_name}: {description} is down"
    runbook: Look.
"""
    )
    with pytest.raises(RuleError, match="'description' only describes"):
        load_rule_files([tmp_path / "own.yaml"], CATALOGUE)


async def test_a_rolled_up_port_is_one_series_whatever_its_description_was(
    tmp_path: Path,
) -> None:
    """It was renamed within five minutes, between two others in the order of tags."""
    declared = Catalogue([CATALOGUE.measurement("interface")])
    samples = [
        Sample(
            "interface",
            {**PLACE, "port": port, "description": description},
            {"in_bps": float(minute)},
            START + minute * MINUTE,
        )
        for port in ("Gi0", "Gi1", "Gi2")
        for minute in range(20)
        for description in (["zebra", "aardvark"][minute >= 12],)
    ]
    one = Where("port", ("Gi1",))
    means = Query(
        "interface",
        (Pick("in_bps", "mean"), Pick("in_bps", "count")),
        START,
        START + DAY,
        (one,),
        ("port",),
        5 * MINUTE,
    )
    identity = CATALOGUE.measurement("interface").identity
    ranked = Query(
        "interface",
        (Pick("in_bps", "p95"),),
        START,
        START + DAY,
        (one,),
        identity,
        mean_step_ms=5 * MINUTE,
    )
    by_description = Query(
        "interface",
        (Pick("in_bps", "sum"),),
        START,
        START + DAY,
        (one,),
        ("port", "description"),
        5 * MINUTE,
    )

    async def answers() -> list[list[Row]]:
        queries = (means, ranked, by_description)
        return [await store.query(query) for query in queries]

    async with embedded(tmp_path, catalogue=declared) as store:
        # Two files, which are merged and then rolled up.
        await store.write(batch_samples(samples[::2], "poll", START))
        await store.write(batch_samples(samples[1::2], "poll", START))
        from_rows = await answers()
        await store.tidy(START + 2 * DAY + 2 * HOUR)
        assert rolled_up_files(tmp_path)
        rolled_up = await answers()
    assert rolled_up[:2] == from_rows[:2]
    assert [row.values["in_bps_count"] for row in rolled_up[0]] == [5, 5, 5, 5]
    # The five minutes of the change belong to the description at their end.
    assert [
        (row.tags["description"], row.values["in_bps_sum"]) for row in rolled_up[2]
    ] == [
        ("aardvark", sum(range(10, 15))),
        ("aardvark", sum(range(15, 20))),
        ("zebra", sum(range(5))),
        ("zebra", sum(range(5, 10))),
    ]

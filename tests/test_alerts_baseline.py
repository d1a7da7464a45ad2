"""What was so when a device was first seen is listed. Only a change pages."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_window import ESTATE_INDEX, RULES, START_MS, rules_named

from alerts.baseline_keeper import BaselineKeeper
from alerts.cycle import CycleResult, run_cycle
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.evaluation.learning import is_another
from alerts.rule_files import Rules
from alerts.window import Window
from collectors.batch import batch_samples
from collectors.estate.estate_model import Estate
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample, Value

MINUTE_MS = 60_000
NEW_MS = 30 * MINUTE_MS
PLACE = {"device": "d1", "site": "hall", "role": "switch"}
PSU = {"class": "state", "sensor": "PSU 2"}
PSU_KEY = "sensor_critical/class=state,device=d1,sensor=PSU 2"


class Engine:
    """The engine's cycle in virtual time, without a journal."""

    def __init__(self, *rules: str, index: EstateIndex = ESTATE_INDEX) -> None:
        self.rules = rules_named(*rules) if rules else RULES
        self.index = index
        self.keeper = BaselineKeeper(NEW_MS)
        self.states: dict[str, AlertState] = {}
        self.choices: dict[str, str] = {}
        self.pages: list[str] = []
        self.baseline: set[str] = set()
        self.now_ms = START_MS
        self.open_window(self.rules)

    def open_window(self, rules: Rules) -> None:
        self.rules = rules
        self.window = Window(rules, CATALOGUE, self.now_ms)

    def put(
        self,
        measurement: str,
        tags: dict[str, str],
        fields: dict[str, Value],
    ) -> None:
        tags = {**PLACE, **tags}
        for batch in batch_samples(
            [Sample(measurement, tags, fields, self.now_ms)], "poll", self.now_ms
        ):
            self.keeper.append(self.window, batch)

    def psu(
        self,
        severity: int,
        state: str = "failed",
        device: str = "d1",
    ) -> None:
        fields: dict[str, Value] = {"severity": severity, "state": state}
        self.put("sensor", {**PSU, "device": device}, fields)

    def cycle(self) -> CycleResult:
        learning = self.keeper.learning(
            self.window, self.index, self.choices, self.now_ms
        )
        result = run_cycle(
            self.window,
            self.index,
            self.rules,
            self.states,
            {},
            [],
            lambda _: [("duty", 0, False)],
            self.now_ms,
            learning,
        )
        self.states = result.states
        self.window.clear_changed(learning.settled)
        for key in self.keeper.changes(learning, result.baseline).learnt:
            del self.choices[key]
        self.keeper.written(learning)
        self.pages += [page.alert.key for page in result.pages]
        for key, alert in result.baseline.items():
            (self.baseline.add if alert else self.baseline.discard)(key)
        return result

    def wait(self, minutes: float = 5) -> None:
        """Lets time pass, with a cycle every 30 s."""
        until_ms = self.now_ms + round(minutes * MINUTE_MS)
        while self.now_ms < until_ms:
            self.now_ms = min(until_ms, self.now_ms + 30_000)
            self.cycle()


def test_a_part_that_has_failed_at_the_first_look_is_listed_and_pages_nobody() -> None:
    engine = Engine("sensor_critical")
    for _ in range(6):
        engine.psu(2)
        engine.wait()
    assert engine.pages == []
    assert engine.baseline == {PSU_KEY}


def test_a_part_that_was_well_once_and_fails_is_paged() -> None:
    engine = Engine("sensor_critical")
    for severity in (0, 2, 2):
        engine.psu(severity)
        engine.wait()
    assert engine.pages == [PSU_KEY]
    assert not engine.baseline


def test_a_part_of_the_baseline_that_was_well_once_is_watched_from_then_on() -> None:
    engine = Engine("sensor_critical")
    for severity in (2, 2, 0, 0):
        engine.psu(severity)
        engine.wait()
    assert engine.baseline == set()
    engine.psu(2)
    engine.wait()
    assert engine.pages == [PSU_KEY]


def test_a_part_that_comes_and_fails_in_a_known_device_is_paged() -> None:
    engine = Engine("sensor_critical")
    engine.put("sensor", {**PSU, "sensor": "PSU 1"}, {"severity": 0, "state": "ok"})
    engine.wait(40)
    for _ in range(2):
        engine.psu(2)
        engine.wait()
    assert engine.pages == [PSU_KEY]


def test_a_device_that_comes_later_is_as_new_as_the_first_ones() -> None:
    engine = Engine("sensor_critical")
    engine.psu(0)
    engine.wait(24 * 60)
    engine.psu(0)
    for _ in range(3):
        engine.psu(2, device="d2")
        engine.wait()
    assert engine.pages == []
    assert engine.baseline == {PSU_KEY.replace("d1", "d2")}


def port(engine: Engine, up: int, expected: int, name: str = "Gi1") -> None:
    fields: dict[str, Value] = {"up": up, "expected_up": expected}
    engine.put("interface", {"port": name}, fields)


def test_a_port_that_was_never_up_stays_unwatched_when_it_begins_to_matter() -> None:
    engine = Engine("port_down")
    for expected in (0, 0, 1, 1, 0, 1, 1):
        port(engine, 0, expected)
        engine.wait(2)
    assert engine.pages == []
    assert engine.baseline == {"port_down/device=d1,port=Gi1"}
    for up in (1, 0, 0, 0):
        port(engine, up, 1)
        engine.wait(1)
    assert engine.pages == ["port_down/device=d1,port=Gi1"]


def test_a_port_that_an_engineer_wants_up_later_is_paged_if_it_is_down() -> None:
    engine = Engine("port_down")
    for minute in range(45):
        port(engine, 0, int(minute > 40))
        engine.wait(1)
    assert engine.pages == ["port_down/device=d1,port=Gi1"]


def device(engine: Engine, up: int, id: str = "d1") -> None:
    fields: dict[str, Value] = {"up": up, "outcome": "ok" if up else "timeout"}
    engine.put("device", {"device": id}, fields)


def test_a_device_that_never_answered_is_listed_and_new_when_it_does() -> None:
    engine = Engine(
        "device_unreachable", "sensor_critical", "site_unreachable", "port_down"
    )
    for _ in range(90):
        device(engine, 0, "d1")
        device(engine, 0, "d2")
        engine.wait(1)
    assert engine.pages == []
    assert engine.baseline == {
        "device_unreachable/device=d1",
        "device_unreachable/device=d2",
        "site_unreachable/site=hall",
    }
    for _ in range(10):
        device(engine, 1, "d1")
        engine.psu(2)
        engine.wait(1)
    assert engine.pages == []
    assert engine.baseline == {"device_unreachable/device=d2", PSU_KEY}
    for _ in range(3):
        device(engine, 0, "d1")
        engine.wait(1)
    assert engine.pages == ["device_unreachable/device=d1"]


def test_an_engineer_makes_an_alert_of_a_part_of_the_baseline() -> None:
    engine = Engine("sensor_critical")
    engine.psu(2)
    engine.wait()
    engine.choices = {PSU_KEY: "alert"}
    engine.psu(2)
    engine.wait(1)
    assert engine.pages == [PSU_KEY]
    assert engine.baseline == set()


def inventory(engine: Engine, serial: str) -> None:
    fields: dict[str, Value] = {"serial": serial, "vendor": "v", "hardware": "h"}
    engine.put("inventory", {}, fields)


@pytest.mark.parametrize("by", ["a serial number", "the engineer", "nobody"])
def test_a_device_that_was_replaced_is_learnt_again(by: str) -> None:
    engine = Engine("sensor_critical", "port_down")
    for _ in range(40):
        port(engine, 1, 1)
        engine.psu(0)
        inventory(engine, "A1")
        engine.wait(1)
    # The ports are read some seconds before the inventory of the other device.
    port(engine, 0, 1)
    engine.cycle()
    engine.psu(2)
    inventory(engine, "B2" if by == "a serial number" else "A1")
    if by == "the engineer":
        engine.choices = {"device=d1": "learn"}
    for _ in range(5):
        engine.wait(1)
        port(engine, 0, 1)
        engine.psu(2)
    keys = {PSU_KEY, "port_down/device=d1,port=Gi1"}
    assert engine.baseline == (set() if by == "nobody" else keys)
    assert set(engine.pages) == (keys if by == "nobody" else set())


@pytest.mark.parametrize(
    ("before", "after", "other"),
    [
        (("A1", "v", "h"), ("B2", "v", "h"), True),
        (("A1", "v", "h"), ("A1", "v", "h rev 2"), False),
        (("", "v", "h"), ("", "v", "h2"), True),
        (("", "v", "h"), ("B2", "v", "h"), False),
        (("", "v", ""), ("", "v", "h"), False),
    ],
)
def test_two_devices_differ_in_serial_number_or_in_make_and_model(
    before: tuple[str, ...], after: tuple[str, ...], other: bool
) -> None:
    assert is_another("\n".join(before), "\n".join(after)) is other


def test_a_device_that_leaves_the_estate_and_comes_back_is_new() -> None:
    engine = Engine("sensor_critical")
    engine.psu(0)
    engine.wait(60)
    without = Estate.model_validate(
        {
            "sites": [{"id": "hall", "name": "Town Hall"}],
            "devices": [{"id": "d2", "site": "hall", "address": "10.0.0.2"}],
        }
    )
    engine.index = EstateIndex(without)
    engine.wait(10)
    engine.index = EstateIndex(ESTATE_INDEX.estate)
    engine.psu(2)
    engine.wait()
    assert engine.pages == []
    assert engine.baseline == {PSU_KEY}


def test_events_certificates_and_towpaths_own_faults_are_never_baseline() -> None:
    for rule in ("ups_on_battery", "certificate_expiring", "disk_full"):
        found = RULES.find(rule, "")
        assert found is not None
        engine = Engine(rule)
        fields: dict[str, Value] = {
            "event": {"active": 1, "count": 1, "level": 4},
            "vpn_gateway": {"up": 1, "certificate_days": 3.0},
            "self_disk": {"full": 1},
        }[found.measurement]  # type: ignore[assignment]
        tags = {
            "event": {"event": "ups_on_battery"},
            "vpn_gateway": {"gateway": "vpn", "site": "hall"},
            "self_disk": {"process": "all", "folder": "state"},
        }[found.measurement]
        if found.measurement == "vpn_gateway":
            engine.index = EstateIndex(GATEWAY)
        batch = Sample(found.measurement, tags, fields, START_MS)
        if found.measurement == "event":
            batch = Sample(found.measurement, {**PLACE, **tags}, fields, START_MS)
        for rows in batch_samples([batch], "poll", START_MS):
            engine.keeper.append(engine.window, rows)
        engine.cycle()
        engine.wait(20)
        assert [key.partition("/")[0] for key in engine.pages] == [rule]
        assert not engine.baseline


GATEWAY = Estate.model_validate(
    {
        "sites": [{"id": "hall", "name": "Town Hall"}],
        "devices": [
            {"id": f"d{n}", "site": "hall", "address": str(ip_address(167772160 + n))}
            for n in (1, 2)
        ],
        "vpn_gateways": [{"id": "vpn", "host": "vpn.example.net"}],
    }
)


def test_rows_that_are_read_again_after_a_restart_show_what_was_well() -> None:
    engine = Engine("sensor_critical")
    engine.psu(0)
    engine.cycle()
    engine.wait(2)
    engine.open_window(engine.rules)
    for severity in (0, 2):
        engine.psu(severity)
        engine.now_ms += MINUTE_MS
    engine.wait()
    assert engine.pages == [PSU_KEY]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([0, 2]), min_size=1, max_size=14),
    st.integers(min_value=0, max_value=13),
)
def test_whatever_was_well_before_it_failed_is_paged_and_nothing_else(
    severities: list[int], restart_at: int
) -> None:
    """Polls every five minutes; a restart in between changes nothing."""
    engine = Engine("sensor_critical")
    for n, severity in enumerate(severities):
        if n == restart_at:
            engine.open_window(engine.rules)
            if n:
                engine.psu(severities[n - 1])
        engine.psu(severity)
        engine.wait()
    failed_later = any(
        later == 2 and 0 in severities[:n] for n, later in enumerate(severities)
    )
    assert bool(engine.pages) == failed_later

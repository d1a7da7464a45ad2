"""The latest results of a router's IP SLA operations are read, and none made up."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from polled_switches import QUICK, device, estate, polling
from virtual_time import in_virtual_time
from waiting import until

from collectors.batch import check_batch
from collectors.server_measurements import CATALOGUE
from collectors.snmp.tables.device_tags import DeviceTags
from collectors.snmp.tables.ip_sla import Operation, to_batches
from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import SimulatedSwitch

_MIB = (1, 3, 6, 1, 4, 1, 9, 9, 42, 1)
_LATEST, _JITTER = "1.3.6.1.4.1.9.9.42.1.2.10.1", "1.3.6.1.4.1.9.9.42.1.5.2.1"
PLACE = DeviceTags("r", "hall", "router")


class IpSlaRouter(SimulatedSwitch):
    """Runs a UDP jitter operation, an echo that times out, and one that has not run."""

    def rebuild(self) -> None:
        super().rebuild()
        control, latest, jitter = (*_MIB, 2, 1, 1), (*_MIB, 2, 10, 1), (*_MIB, 5, 2, 1)
        table: dict[snmp_messages.Oid, bytes] = {}
        for index, name, kind in ((1, "voice", 9), (2, "", 1), (3, "spare", 1)):
            table[(*control, 2, index)] = snmp_messages.octets("ops")
            table[(*control, 3, index)] = snmp_messages.octets(name)
            table[(*control, 4, index)] = snmp_messages.integer(kind)
        for index, took, sense in ((1, 31, 1), (2, 0, 4), (3, 0, 0)):
            table[(*latest, 1, index)] = snmp_messages.gauge32(took)
            table[(*latest, 2, index)] = snmp_messages.integer(sense)
        results = {1: 980, 2: 19_600, 26: 5, 27: 10, 29: 5, 42: 406, 43: 3, 46: 7}
        for column, value in results.items():
            table[(*jitter, column, 1)] = snmp_messages.gauge32(value)

        def fixed(value: bytes) -> Callable[[], bytes]:
            return lambda: value

        self._values |= {
            snmp_messages.oid_content(o): fixed(v) for o, v in table.items()
        }
        self._rows = sorted([*self._rows, *table])


@in_virtual_time
async def test_a_routers_own_measurements_are_stored_by_their_names() -> None:
    async with (
        IpSlaRouter("r", 1) as router,
        polling(estate(device("r", router, role="router"))) as (sink, _),
    ):
        await until(lambda: len(sink.rows("ip_sla")) >= 4, "results")
    assert sink.rows("ip_sla", operation="voice")[0] == {
        "kind": "udp_jitter",
        "up": 1,
        "sense": "ok",
        "rtt_ms": 20.0,
        "jitter_ms": 7.0,
        "loss_ratio": 0.02,
        "mos": 4.06,
        "icpif": 3,
    }
    silent = sink.rows("ip_sla", operation="ops")[0]
    assert silent == {"kind": "echo", "up": 0, "sense": "timeout"}
    assert not sink.rows("ip_sla", operation="spare")


@in_virtual_time
async def test_a_switch_without_operations_is_asked_once_an_hour() -> None:
    async with (
        SimulatedSwitch("s", 1) as switch,
        polling(
            estate(device("s", switch)),
            QUICK.model_copy(update={"neighbours_s": 600.0}),
        ) as (sink, _),
    ):
        await until(lambda: len(sink.rows("device")) >= 5, "polls")
    assert not sink.rows("ip_sla")
    assert int(sink.rows("device")[-1]["packets"]) <= 3


@given(
    kinds=st.lists(st.integers(0, 30), max_size=4),
    names=st.sampled_from(["", "a"]),
    value=st.one_of(st.integers(-5, 2**32), st.binary(max_size=4), st.none()),
)
def test_any_answer_fits_the_catalogue(
    kinds: list[int], names: str, value: int | bytes | None
) -> None:
    mib = "1.3.6.1.4.1.9.9.42.1"
    operations = [Operation(str(n), names, kind) for n, kind in enumerate(kinds)]
    columns = ["2.10.1.1", *(f"5.2.1.{n}" for n in (1, 2, 26, 27, 29, 42, 43, 46))]
    answer: dict[str, int | bytes | str | float] = {}
    for n in range(len(kinds)):
        answer[f"{mib}.2.10.1.2.{n}"] = 1 + n % 4
        if value is not None:
            answer |= {f"{mib}.{column}.{n}": value for column in columns}
    for batch in to_batches(PLACE, 5, operations, answer):
        for sample in check_batch(batch, CATALOGUE).samples():
            loss = sample.fields.get("loss_ratio")
            assert loss is None or 0 <= float(loss) <= 1


def test_the_ends_of_a_type_are_not_results() -> None:
    """A router whose target never answered has 4294967295 in some of its columns."""
    none = {f"{_JITTER}.{n}.1": 2**32 - 1 for n in (1, 2, 26, 27, 29, 42, 43, 46)}
    latest = {f"{_LATEST}.1.1": 2**32 - 1, f"{_LATEST}.2.1": 1}
    (batch,) = to_batches(PLACE, 5, [Operation("1", "voice", 9)], {**latest, **none})
    for name in ("rtt_ms", "jitter_ms", "loss_ratio", "mos", "icpif"):
        assert batch.field(name) == [None], name
    assert batch.field("up") == [1]

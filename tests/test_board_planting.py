"""Rows that benchmarks plant as InfluxDB's own files are the rows it answers with."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest
import services
from grafana_asks import Influx
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.boards import create
from benchmarks.planted_values import kind_of, place_of, values, variant_of
from benchmarks.tsm_blocks import MOST_VALUES, Times, float_bits, float_values
from benchmarks.tsm_planting import DAY_MS, Rows, plant
from probes.wire.catalogue import Field

NEWEST_MS = 1_795_000_020_000
KINDS = (Field("load", "float", "1", ""), Field("n", "int", "1", ""))
WORDS = Field("said", "str", "1", "")


@given(
    st.integers(0, 10**6), st.integers(1, 500), st.integers(1, 3000),
    st.integers(-(10**5), 10**6), st.integers(0, 10**6),
)  # fmt: skip
def test_times_of_a_span_are_those_of_the_rows_within_it(
    first: int, step: int, count: int, from_ms: int, length: int
) -> None:
    times = Times(first, step, count)
    every = [first + at * step for at in range(count)]
    wanted = [at for at in every if from_ms <= at < from_ms + length]
    within = times.within(from_ms, from_ms + length)
    assert [
        part.first_ms + at * part.step_ms
        for part in within.parts()
        for at in range(part.count)
    ] == wanted
    assert all(part.count <= MOST_VALUES for part in within.parts())


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=30))
def test_floats_come_back_from_their_bits(numbers: list[float]) -> None:
    packed = [struct.pack(">d", number) for number in numbers]
    assert _floats(float_values(numbers)) == packed
    bits = [struct.unpack(">Q", number)[0] for number in packed]
    assert _floats(float_bits(bits)) == packed


def _floats(encoded: bytes) -> list[bytes]:
    """Reads a block of floats as its description has it."""
    bits = f"{int.from_bytes(encoded[1:], 'big'):0{len(encoded) * 8 - 8}b}"
    at, read, leading, length = 64, [int(bits[:64], 2)], 0, 64
    while True:
        if bits[at] == "0":
            read.append(read[-1])
            at += 1
            continue
        if bits[at + 1] == "1":
            leading = int(bits[at + 2 : at + 7], 2)
            length = int(bits[at + 7 : at + 13], 2) or 64
            at += 11
        # Else the window is that of the value before.
        changed = int(bits[at + 2 : at + 2 + length], 2)
        number = read[-1] ^ changed << (64 - leading - length)
        if number == 0x7FF8000000000001:
            return [struct.pack(">Q", number) for number in read]
        read.append(number)
        at += 2 + length


@pytest.mark.service
def test_a_real_influxdb_answers_with_what_was_planted(tmp_path: Path) -> None:
    series = [{"port": "Gi1/0/1", "site": "a, b=c d"}, {"port": "Gi1/0/10", "site": ""}]
    hours = Times(NEWEST_MS - 20 * DAY_MS, 3_600_000, 480)
    minutes = Times(NEWEST_MS - 1500 * 60_000, 60_000, 1500)
    planted = [
        Rows("interface_1h", series, KINDS, hours),
        Rows("interface", series, (*KINDS, WORDS), minutes),
        Rows("interface_1h", series[:1], (WORDS,), Times(NEWEST_MS, 60_000, 1)),
    ]
    with services.running(services.influxd(tmp_path)) as server:
        asyncio.run(create(server))
        influx = Influx(server)
        plant(influx, "towpath", planted)
        # What is written later stands beside it.
        influx.write_lines([f"interface,port=new n=1i {NEWEST_MS}"], "towpath")
        for rows in planted[:2]:
            for number, tags in enumerate(series):
                for at, field in enumerate(rows.fields):
                    [answer] = influx.ask(
                        f'SELECT "{field.name}" FROM "{rows.measurement}"'
                        f" WHERE port = '{tags['port']}'",
                        "towpath",
                        epoch="ms",
                    )
                    times = rows.times
                    assert [row[0] for row in answer["values"]][: times.count] == [
                        times.first_ms + n * times.step_ms for n in range(times.count)
                    ]
                    shown = [row[1] for row in answer["values"]]
                    place = place_of(times.first_ms, times.step_ms)
                    variant = variant_of(number, at)
                    made = values(kind_of(field), variant, place, times.count)
                    assert shown[: times.count] == made
        [sites] = influx.ask(
            'SHOW TAG VALUES FROM "interface" WITH KEY = "site"', "towpath"
        )
        assert [row[1] for row in sites["values"]] == ["a, b=c d"]
        [counted] = influx.ask('SELECT count("said") FROM "interface_1h"', "towpath")
        assert counted["values"][0][1] == 1
        [grouped] = [
            series
            for series in influx.ask(
                'SELECT count("n") FROM "interface" GROUP BY "port"', "towpath"
            )
            if series["tags"] == {"port": "new"}
        ]
        assert grouped["values"][0][1] == 1

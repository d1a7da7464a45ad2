"""Several writers of a store: every row has one of them, and a change of their number
loses nothing."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_commands_state import ESTATE

from collectors.batch import Batch, batch_samples
from collectors.journal import Position, Positions
from collectors.server_measurements import CATALOGUE
from collectors.store import StoreConfig, StorePart, saved_positions
from collectors.store.rolled_buckets import RolledBuckets
from collectors.store.rollup_files import RollUpFiles, RollUpState
from collectors.store.store_parts import first_positions, have_passed, part_of
from collectors.store.store_positions import positions_path, save_positions
from collectors.store.writer_set import reporter
from probes.wire.sample import Sample
from towpath.config import TowpathConfig
from towpath.run import Installation
from towpath.store_role import split_part

TEXTS = st.text(max_size=4)
ROWS = st.lists(
    st.builds(
        Sample,
        st.just("interface"),
        st.fixed_dictionaries({"port": TEXTS}, optional={"device": TEXTS}),
        st.just({"up": 1}),
        st.integers(0, 2**40),
    ),
    min_size=1,
)
COUNTS = st.integers(1, 16)


def _seen(batches: list[Batch]) -> Counter[bytes]:
    rows = (sample for batch in batches for sample in batch.samples())
    return Counter(msgspec.json.encode(row, order="sorted") for row in rows)


@given(ROWS, COUNTS)
def test_every_row_is_in_exactly_one_part(rows: list[Sample], count: int) -> None:
    batches = batch_samples(rows, "poll/a", 1)
    parts = [part.rows(batches, CATALOGUE) for part in StorePart(1, count).parts]
    assert sum(map(_seen, parts), Counter()) == _seen(batches)
    devices = [
        {sample.tags.get("device", "") for one in part for sample in one.samples()}
        for part in parts
    ]
    assert sum(map(len, devices)) == len(set().union(*devices))


def test_a_row_that_is_not_in_the_catalogue_has_a_part_too() -> None:
    batches = batch_samples([Sample("nothing", {"a": "b"}, {"c": 1}, 1)], "x", 1)
    found = [part.rows(batches, CATALOGUE) for part in StorePart(1, 3).parts]
    assert sorted(map(len, found)) == [0, 0, 1]


def test_a_subject_has_the_same_part_on_every_machine_and_in_every_version() -> None:
    names = ("core-1", "ysgol-tŷ", "", "3f2a", "\udc80")
    found = [
        next(part.number for part in StorePart(1, 5).parts if part.has("device", name))
        for name in names
    ]
    assert found == [4, 1, 3, 3, 1]


@pytest.mark.parametrize("count", [2, 3, 4, 8])
def test_parts_have_as_much_to_write(count: int) -> None:
    """1,000 switches of 24 to 52 ports, and 2,200 laptops."""
    rows: Counter[int] = Counter()
    for part in StorePart(1, count).parts:
        for number in range(1000):
            if part.has("interface", f"sw-{number // 5}-{number % 5}"):
                rows[part.number] += 24 if number % 3 else 52
        for number in range(2200):
            rows[part.number] += 6 * part.has("call_path", f"{number * 7919:08x}")
    equal = sum(rows.values()) / count
    assert all(0.8 * equal < part < 1.2 * equal for part in rows.values()), rows


def test_readers_have_the_names_of_their_parts() -> None:
    assert StorePart().reader == "store"
    assert StorePart(2, 4).reader == "store-2-of-4"
    for part in (StorePart(), *StorePart(1, 16).parts):
        assert part_of(part.reader) == part
    for name in ("alert", "store-5-of-4", "store-0-of-4", "store-1-of-1", "store-x"):
        assert part_of(name) is None


def _at(offset: int) -> Position:
    return Position(1, offset)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("number"), st.integers(1, 4)),
        st.tuples(st.just("read"), st.integers(0, 3)),
        st.tuples(st.just("read"), st.integers(0, 3)),
        st.tuples(st.just("append"), st.integers(1, 3)),
        st.tuples(st.just("look"), st.just(0)),
        st.tuples(st.just("lose"), st.integers(0, 3)),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_the_numbers_of_writers_were_no_row_is_deleted_unwritten(
    steps: list[tuple[str, int]],
) -> None:
    """One log, whose rows are the numbers from 0. It deletes what every reader that it
    knows has passed. `lose`: a writer's folder is lost."""
    rows, written, count, deleted = 6, set[int](), 1, 0
    passed: dict[StorePart, int] = {StorePart(): 0}
    saved: dict[StorePart, Positions] = {}

    for kind, number in steps:
        parts = StorePart(1, count).parts
        part = parts[number % count]
        if kind == "append":
            rows += number
        elif kind == "number":
            count = number
        elif kind == "lose":
            saved.pop(part, None)
        elif kind == "read":
            # The process starts, which makes all of its number known; reads two rows.
            for other in parts:
                passed.setdefault(other, 0)
            start = (first_positions(part, saved) or {"log": _at(0)})["log"].offset
            read = max(start, deleted)
            own = list(range(read, min(read + 2, rows)))
            written |= {n for n in own if part.has("device", str(n))}
            saved[part] = {"log": _at(read + len(own))}
            passed[part] = read + len(own)
        elif all(other in passed for other in parts):
            new = [{"log": _at(passed[other])} for other in parts]
            for other in [o for o in passed if o.count != count]:
                if have_passed(new, {"log": _at(passed[other])}):
                    del passed[other]
            if all(other.count == count for other in passed) and all(
                passed[other] for other in parts
            ):
                saved = {o: at for o, at in saved.items() if o.count == count}
        deleted = max(deleted, min(passed.values()))
        assert set(range(deleted)) <= written
    # At the end those of the last number run until they have everything.
    for part in StorePart(1, count).parts:
        start = (first_positions(part, saved) or {"log": _at(0)})["log"].offset
        first = max(start, deleted)
        written |= {n for n in range(first, rows) if part.has("device", str(n))}
    assert written == set(range(rows))


def test_old_writers_are_kept_until_all_new_ones_are_where_they_were() -> None:
    old = {"poll": _at(50), "quiet": Position(0, 0)}
    there, behind = {"poll": _at(50)}, {"poll": _at(49)}
    assert have_passed([there, {"poll": Position(2, 0)}], old)
    assert not have_passed([there, behind], old)
    assert not have_passed([there, {}], old)


def test_new_writers_begin_where_the_last_of_the_old_ones_was(tmp_path: Path) -> None:
    config = StoreConfig(kind="influxdb", folder=tmp_path)
    other = config.model_copy(update={"database": "other"})
    for number, offset in ((1, 50), (2, 70)):
        path = positions_path(config, StorePart(number, 2).reader)
        save_positions(path, {"poll": _at(offset), f"only-{number}": _at(9)})
    assert saved_positions(config, StorePart(3, 3)) == {"poll": _at(50)}
    assert saved_positions(config) == {"poll": _at(50)}
    assert saved_positions(other) is None
    # Where it stopped itself, and from the beginning if one of the old is not known.
    assert saved_positions(config, StorePart(2, 2)) == {
        "poll": _at(70),
        "only-2": _at(9),
    }
    positions_path(config, "store-1-of-2").unlink()
    assert saved_positions(config) is None


def _put(files: RollUpFiles, part: StorePart, state: dict[str, Any]) -> None:
    encoded = msgspec.json.encode(msgspec.convert(state, RollUpState))
    files.path(part).write_bytes(encoded)


def test_a_bucket_counts_as_rolled_up_when_every_writer_has_done_it(
    tmp_path: Path,
) -> None:
    hour = 3_600_000
    files = RollUpFiles(tmp_path, "towpath")
    buckets = RolledBuckets(files)
    device, span = CATALOGUE.measurement("device"), (0, 10 * hour)
    done = {"history": {"device": (0, 0)}, "whole_days": {"device": (0, 0)}}
    late = {"pending": {"device": {"1h": [2 * hour]}}}

    def complete() -> list[tuple[int, int]]:
        return buckets.spans(device, "1h", span)

    assert complete() == []
    _put(files, StorePart(1, 2), done)
    assert complete() == []
    _put(files, StorePart(2, 2), {**done, **late})
    assert complete() == [(0, 2 * hour), (3 * hour, 10 * hour)]
    # A new number of writers: what the old ones left is left to them.
    state = files.first_state(StorePart(2, 3))
    assert state.pending == late["pending"]
    assert state.history == {"device": (0, 0)}
    _put(files, StorePart(1, 3), {**done, "pending": {"device": {"1h": [5 * hour]}}})
    assert complete() == [
        (0, 2 * hour),
        (3 * hour, 5 * hour),
        (6 * hour, 10 * hour),
    ]
    # Nothing is removed until each has its own.
    files.remove_others(StorePart(1, 3))
    assert len(files.found()) == 3
    for part in StorePart(1, 3).parts:
        _put(files, part, done)
    files.remove_others(StorePart(1, 3))
    assert set(files.found()) == set(StorePart(1, 3).parts)
    assert complete() == [span]
    (tmp_path / "rollups-towpath_old.json").write_text("{}")
    assert len(files.found()) == 3


@given(COUNTS, st.data())
def test_each_writer_that_does_not_run_is_reported_by_one_that_does(
    count: int, data: st.DataObject
) -> None:
    parts = StorePart(1, count).parts
    running = set(data.draw(st.lists(st.sampled_from(parts), min_size=1)))
    for absent in set(parts) - running:
        assert reporter(absent, running) in running


def _of_writers(folder: Path, count: int) -> TowpathConfig:
    estate = folder / "estate.toml"
    estate.write_text(ESTATE)
    store = {"kind": "influxdb", "writers": count}
    settings = {"state": str(folder), "estate": str(estate), "store": store}
    return TowpathConfig.model_validate(settings)


def test_several_writers_need_influxdb_and_each_its_part() -> None:
    with pytest.raises(ValueError, match=re.escape("only InfluxDB can have several")):
        StoreConfig(writers=3)
    assert split_part(1, ["poll", "store"]) == (["poll", "store"], StorePart())
    assert split_part(3, ["poll"]) == (["poll"], StorePart())
    assert split_part(3, ["web", "store-3"]) == (["web", "store"], StorePart(3, 3))
    for writers, roles, says in (
        (3, ["store"], "'store': store.writers is 3: expected one of store-1 to store"),
        (3, ["store-4"], "'store-4': store.writers is 3"),
        (3, ["store-0"], "'store-0'"),
        (3, ["store-1", "store-2"], "'store-1,store-2'"),
        (1, ["store-2"], "'store-2': store.writers is 1: expected store"),
    ):
        with pytest.raises(ValueError, match=re.escape(says)):
            split_part(writers, roles)


def test_what_is_done_once_is_done_by_the_first_part(tmp_path: Path) -> None:
    config = _of_writers(tmp_path, 2)
    first, second = (
        Installation(config, ["store"], part=StorePart(number, 2)) for number in (1, 2)
    )
    once = {name for name, _ in first.pieces} - {name for name, _ in second.pieces}
    assert {
        "experience parity of each month",
        "retention of files",
        "groups of at least 10 agents",
    } < once
    assert (first.process, second.process) == ("store", "store+2")

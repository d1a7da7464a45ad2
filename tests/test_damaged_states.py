"""State files that are wrong, as by a damaged disk, which changes single octets: they
cost what was in them, never the start of Towpath."""

from __future__ import annotations

from pathlib import Path

from alerts.calendars.calendar_feed import FeedState, read_state
from collectors.calls.written_state import WrittenState
from collectors.snmp.polling.device_state import DeviceState, DeviceStates
from collectors.store.erasure import Erasures
from collectors.store.store_config import StoreConfig
from collectors.store.store_positions import saved_positions


def damage(file: Path, octet: bytes) -> None:
    """Changes an octet of the file into one that UTF-8 does not have."""
    content = file.read_bytes()
    assert content.count(octet) == 1
    file.write_bytes(content.replace(octet, b"\xff"))


def test_what_was_remembered_of_devices_is_learnt_again(tmp_path: Path) -> None:
    file = tmp_path / "snmp.json"
    states = DeviceStates(file)
    states.get("sw-1").credential = "old#words"
    states.save()
    assert DeviceStates(file).get("sw-1").credential == "old#words"
    damage(file, b"#")
    assert DeviceStates(file).get("sw-1") == DeviceState()


def test_rows_are_written_again(tmp_path: Path) -> None:
    config = StoreConfig(folder=tmp_path)
    file = tmp_path / "store-embedded.positions.json"
    file.write_text('{"a#b": {"segment": 1, "offset": 2}}')
    assert saved_positions(config)
    damage(file, b"#")
    assert saved_positions(config) is None


def test_calls_are_read_again_if_a_clock_was_ahead_or_nothing_can_be_read(
    tmp_path: Path,
) -> None:
    day_ms = 86_400_000
    state = WrittenState(tmp_path / "calls.json", 900_000, 1, lambda: 40 * day_ms + 5)
    state.save(39 * day_ms + 900_000)
    assert state.load() == 39 * day_ms + 900_000
    state.save(5 * day_ms)
    assert state.load() == 11 * day_ms
    for ahead_ms in (41 * day_ms, 400 * day_ms):
        state.save(ahead_ms)
        assert state.load() == 39 * day_ms
    damage(tmp_path / "calls.json", b"{")
    assert state.load() == 39 * day_ms


def test_a_calendar_is_fetched_again(tmp_path: Path) -> None:
    file = tmp_path / "works.json"
    file.write_text('{"etag": "#", "checked_ms": 1}')
    assert read_state(tmp_path, "works").checked_ms == 1
    damage(file, b"#")
    assert read_state(tmp_path, "works") == FeedState()


def test_other_requests_to_erase_a_laptop_are_still_obeyed(tmp_path: Path) -> None:
    erasures = Erasures(tmp_path)
    erasures.request("#", 1)
    erasures.request("laptop-2", 2)
    (file,) = (f for f in tmp_path.rglob("*") if f.is_file() and b"#" in f.read_bytes())
    damage(file, b"#")
    assert Erasures(tmp_path).known() == {"laptop-2": 2}

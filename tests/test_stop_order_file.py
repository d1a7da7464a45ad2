"""The stop key, and the file of orders that ingest hands out."""

from __future__ import annotations

from pathlib import Path

import pytest
from stop_keys import COUNCIL, DAY_MS, FOREIGN, NEXT, NOW_MS, line, order
from structlog.testing import capture_logs
from test_stop_orders import PUBLIC, given_policy, laptop

from collectors.ingest.stop_key import KeyUnusable, make_stop_key, read_stop_key
from collectors.ingest.stop_order_file import (
    KnownOrder,
    OrderRefused,
    ServedOrders,
    StopWish,
    add_line,
    make_order,
    read_orders,
    resigned,
    write_lines,
)
from probes.wire.policy import MAX_BODY_BYTES, MAX_ORDERS


def test_the_private_key_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "stop.key"
    made = make_stop_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_stop_key(path).public == made.public
    with pytest.raises(FileExistsError):
        make_stop_key(path)
    path.write_text("something else\n")
    with pytest.raises(KeyUnusable, match="is no stop key"):
        read_stop_key(path)
    with pytest.raises(KeyUnusable, match="cannot be read"):
        read_stop_key(tmp_path)


def test_the_file_has_one_order_for_each_scope_and_damaged_lines_do_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "stop-orders"
    for number, wish in enumerate(
        [{}, {"ring": "pilot"}, {"days": 3}, {"probes": ("web",)}]
    ):
        add_line(path, line(at_ms=NOW_MS + number, **wish), [PUBLIC], NOW_MS)
    known = read_orders(path, [PUBLIC])
    assert [entry.order.scope for entry in known if entry.order] == [
        ("pilot", ()),
        ("", ()),
        ("", ("web",)),
    ]
    path.write_text(path.read_text()[:-40] + "\nrubbish\n")
    served = ServedOrders(path, lambda: PUBLIC)
    assert len(served.lines("pilot", NOW_MS)) == 2
    assert len(served.lines("rest", NOW_MS)) == 1
    with pytest.raises(OrderRefused, match="not signed"):
        add_line(path, line(by=FOREIGN), [PUBLIC], NOW_MS)
    add_line(path, line("resume", NOW_MS + 9), [PUBLIC], NOW_MS)
    assert len(read_orders(path, [PUBLIC])) == 1
    with pytest.raises(OrderRefused, match="a newer one"):
        add_line(path, line(at_ms=NOW_MS + 1), [PUBLIC], NOW_MS)


def test_an_order_from_a_computer_whose_clock_is_wrong_is_not_given(
    tmp_path: Path,
) -> None:
    path = tmp_path / "stop-orders"
    years_ms = 2 * 365 * DAY_MS
    for signed_ms, why in (
        (NOW_MS - years_ms, "it ended on 2024-"),
        (NOW_MS + years_ms, "it has the date 2028-"),
    ):
        with pytest.raises(OrderRefused, match=rf"{why}.* \(the server's is 2026-"):
            add_line(path, line(at_ms=signed_ms), [PUBLIC], NOW_MS)
    # Minutes are usual.
    add_line(path, line(at_ms=NOW_MS + 600_000), [PUBLIC], NOW_MS)


def test_there_are_only_so_many_orders_as_a_policy_has_room_for(
    tmp_path: Path,
) -> None:
    path = tmp_path / "stop-orders"
    for number in range(MAX_ORDERS):
        add_line(path, line(at_ms=NOW_MS + number, ring=f"r{number}"), [PUBLIC], NOW_MS)
    with pytest.raises(OrderRefused, match="fleet resume ends them"):
        add_line(path, line(at_ms=NOW_MS + 99, ring="one-more"), [PUBLIC], NOW_MS)
    add_line(path, line("resume", NOW_MS + 100), [PUBLIC], NOW_MS)
    assert len(read_orders(path, [PUBLIC])) == 1
    longest = [line(why="\U0001f600" * 200, ring=f"r{n}") for n in range(MAX_ORDERS)]
    assert sum(map(len, longest)) < MAX_BODY_BYTES / 2


def test_numbers_grow_even_if_the_clock_of_the_signer_went_back() -> None:
    known = [KnownOrder("", order(at_ms=NOW_MS))]
    assert make_order(StopWish("resume"), known, NOW_MS - DAY_MS).number == NOW_MS + 1


def test_after_a_change_of_the_key_all_orders_are_signed_with_the_new_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "stop-orders"
    add_line(path, line(probes=("web",)), [PUBLIC], NOW_MS)
    write_lines(path, resigned(read_orders(path, [PUBLIC]), COUNCIL, NEXT, NOW_MS + 1))
    lines = ServedOrders(path, lambda: NEXT.public).lines("", NOW_MS)
    assert len(lines) == 2
    stops = laptop(tmp_path, PUBLIC)
    stops.take(given_policy(line(probes=("web",))), NOW_MS)
    stops.take(given_policy(*lines, key=NEXT.public), NOW_MS)
    assert (stops.stopped(NOW_MS), stops.faults) == ({"web"}, ())


def test_a_file_that_comes_back_unchanged_is_read_again_and_a_new_failure_logged(
    tmp_path: Path,
) -> None:
    folder, aside, now_s = tmp_path / "state", tmp_path / "aside", [0.0]
    folder.mkdir()
    add_line(folder / "stop-orders", line(), [PUBLIC], NOW_MS)
    served = ServedOrders(folder / "stop-orders", lambda: PUBLIC, lambda: now_s[0])

    def look() -> list[str]:
        now_s[0] += 10
        with capture_logs() as logs:
            assert len(served.lines("", NOW_MS)) == 1
        return [entry["event"] for entry in logs]

    assert look() == []
    for _ in range(2):
        folder.rename(aside)
        # Looking at the orders fails: it is no folder.
        folder.write_text("")
        assert look() == ["stop_orders_not_read"]
        folder.unlink()
        aside.rename(folder)
        assert look() == ["stop_orders_read_again"]

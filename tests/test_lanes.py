"""Test files that wait begin early, beside those that work."""

from __future__ import annotations

from pathlib import Path

from lanes import WAITING, WORKING, next_file


def test_one_worker_begins_with_files_that_wait_and_the_others_end_with_them() -> None:
    many, few = "tests/test_many.py", "tests/test_few.py"
    waits, works = f"tests/{WAITING[0]}.py", f"tests/{WORKING[0]}.py"
    also_waits = f"tests/{WAITING[1]}.py"
    files = [many, also_waits, few, works, waits]
    order = {True: list[str](), False: list[str]()}
    for lane, taken in order.items():
        left = list(files)
        while left:
            taken.append(next_file(left, lane))
            left.remove(taken[-1])
    assert order[True] == [waits, also_waits, works, many, few]
    assert order[False] == [works, many, few, waits, also_waits]


def test_every_file_with_a_place_in_the_order_exists() -> None:
    here = Path(__file__).parent
    assert {
        name for name in WAITING + WORKING if not (here / f"{name}.py").exists()
    } == (set())

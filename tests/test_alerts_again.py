"""What fails again soon after its end continues its page, and nobody is woken anew."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from late_cause_world import KillableCouncil

from alerts.estate_index import EstateIndex
from alerts.notify.email import compose_message
from collectors.estate.estate_model import Estate

SITES = tuple(f"s{n}" for n in range(6))
INDEX = EstateIndex(
    Estate.model_validate(
        {
            "sites": [{"id": site, "name": site} for site in SITES],
            "devices": [
                {"id": f"hub-{n}", "site": "s0", "address": f"10.0.0.{n}"}
                for n in range(1, 5)
            ],
            "lines": [
                {
                    "id": f"{site}-wan",
                    "site": site,
                    "device": "hub-1",
                    "port": f"Gi{n}",
                    "far_end": True,
                    "supplier": "Teme",
                    "down_mbps": 10,
                    "up_mbps": 10,
                }
                for n, site in enumerate(SITES)
            ],
        }
    )
)


@pytest.fixture
def council() -> Iterator[KillableCouncil]:
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        council = KillableCouncil(Path(folder), INDEX)
        yield council
        assert council.store is not None
        council.store.close()


def minutes(
    council: KillableCouncil,
    count: int,
    down: tuple[str, ...] = (),
    cut_off: bool = False,
    dies: str = "",
) -> None:
    """Polls all, every minute. `cut_off`: Towpath reaches nothing, and no line is
    measured then."""
    for _ in range(count):
        for n in range(1, 5):
            council.device(f"hub-{n}", int(not cut_off))
        for site in () if cut_off else SITES:
            council.line(f"{site}-wan", int(site not in down))
        for _ in range(4):
            council.step(dies)


@pytest.mark.parametrize("dies", ["", "before", "after"])
def test_a_line_that_fails_again_after_its_end_continues_its_page(
    council: KillableCouncil, dies: str
) -> None:
    minutes(council, 3)
    minutes(council, 3, ("s1",))
    minutes(council, 5)
    council.step(dies)
    minutes(council, 4, ("s1",))
    minutes(council, 40)
    assert council.kinds() == ["page", "resolution", "update", "resolution"]
    pages = [page for _, page in council.arrived]
    assert len({page.thread for page in pages}) == 1
    assert len({page.id for page in pages}) == 4
    assert pages[2].subject.startswith("PROBLEM (critical, again): ")
    assert "It was over, and has begun again." in pages[2].text
    assert pages[2].data["again"] is True
    mails = [compose_message(page, "t@a.example", ("b@a.example",)) for page in pages]
    assert {mail["In-Reply-To"] for mail in mails[1:]} == {mails[0]["Message-ID"]}
    # It may last this time.
    assert mails[2]["Importance"] == "high"


@pytest.mark.parametrize("well", [20, 60])
def test_a_line_that_fails_later_is_paged(council: KillableCouncil, well: int) -> None:
    for _ in range(2):
        minutes(council, 3, ("s1",))
        minutes(council, well)
    assert council.kinds() == ["page", "resolution"] * 2
    assert len({page.thread for _, page in council.arrived}) == 2


def test_a_channel_that_did_not_have_the_page_is_paged(
    council: KillableCouncil,
) -> None:
    minutes(council, 3)
    minutes(council, 3, ("s1",))
    minutes(council, 5)
    council.routes = {"line_down": ("duty", "supplier")}
    minutes(council, 4, ("s1",))
    minutes(council, 40)
    kinds = [(channel, page.kind) for channel, page in council.arrived]
    assert [kind for channel, kind in kinds if channel == "supplier"] == [
        "page",
        "resolution",
    ]
    assert [kind for channel, kind in kinds if channel == "duty"] == [
        "page",
        "resolution",
        "update",
        "resolution",
    ]


def test_polls_that_are_lost_now_and_then_page_nobody(council: KillableCouncil) -> None:
    minutes(council, 5)
    for _ in range(2):
        minutes(council, 1, ("s1",))
        minutes(council, 7)
    minutes(council, 30)
    assert council.arrived == []


def test_a_supplier_is_still_out_after_towpath_itself_was_cut_off(
    council: KillableCouncil,
) -> None:
    out = SITES[1:5]
    minutes(council, 3)
    minutes(council, 6, out)
    minutes(council, 12, cut_off=True)
    minutes(council, 6, out)
    subjects = [page.subject for _, page in council.arrived if page.kind == "page"]
    assert len(subjects) == 2, subjects
    assert "Teme: 4 lines have failed together" in subjects[0]
    assert "Towpath is cut off" in subjects[1]
    minutes(council, 15)
    assert not council.open_alerts()
    assert council.kinds() == ["page", "page", "resolution", "resolution"]


def test_a_supplier_that_joined_a_lines_page_is_paged_when_only_that_line_is_mended(
    council: KillableCouncil,
) -> None:
    minutes(council, 3)
    minutes(council, 4, ("s1",))
    minutes(council, 6, ("s1", "s2", "s3", "s4"))
    assert council.kinds() == ["page", "update"]
    minutes(council, 14, ("s2", "s3", "s4"))
    assert council.kinds() == ["page", "update", "resolution", "page"]
    assert "Teme: 3 lines have failed together" in council.arrived[-1][1].subject
    minutes(council, 15)
    assert council.kinds()[-1] == "resolution"
    assert not council.open_alerts()


def test_a_supplier_is_paged_although_one_of_its_lines_failed_long_before(
    council: KillableCouncil,
) -> None:
    minutes(council, 3)
    minutes(council, 12, ("s1",))
    minutes(council, 5, ("s1", "s2", "s3", "s4"))
    subjects = [page.subject for _, page in council.arrived]
    assert council.kinds() == ["page", "page"], subjects
    assert "Teme: 4 lines have failed together" in subjects[1]

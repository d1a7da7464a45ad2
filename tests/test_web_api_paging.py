"""The API's lists in pages: each item once, and no cursor but the list's own."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from alert_files import ALERT, file_with
from api_council import CouncilApi
from hypothesis import given
from hypothesis import strategies as st

from dashboards.web.api.api_paging import Paged, page_of


@pytest.fixture
def api(tmp_path: Path) -> CouncilApi:
    return CouncilApi(tmp_path)


def test_the_pages_of_a_list_have_each_item_once(api: CouncilApi) -> None:
    with api.client() as client:
        whole = client.get("/devices").json()["items"]
        seen, address = [], "/devices?limit=3"
        while address:
            answer = client.get(address)
            seen += answer.json()["items"]
            link = answer.headers.get("link", "")
            assert bool(link) == bool(answer.json()["next"])
            address = link[link.find("<") + len("</api/v1") : link.find(">")]
        assert seen == whole
        assert len(whole) == 7


ITEMS = st.tuples(st.sampled_from([0.5, -1.25, 2.0]), st.text(max_size=3))


@given(
    items=st.lists(ITEMS, max_size=20, unique=True),
    others=st.lists(ITEMS, max_size=10),
    limit=st.integers(1, 5),
)
def test_what_comes_and_goes_between_two_pages_moves_nothing_else(
    items: list[tuple[float, str]], others: list[tuple[float, str]], limit: int
) -> None:
    """Also an item with a number that is not whole, such as a time of alerts."""
    seen, cursor, listed = [], "", list(items)
    while True:
        paged = Paged(limit=limit, cursor=cursor)
        page, cursor = page_of(listed, lambda item: item, paged, "things")
        assert len(page) <= limit
        seen += page
        if not cursor:
            break
        listed = items if len(listed) != len(items) else [*items, *others]
        listed = [item for item in listed if item not in others]
    assert len(set(seen)) == len(seen)
    assert set(items) - set(others) <= set(seen)


@given(items=st.lists(st.sampled_from("ab"), max_size=12), limit=st.integers(1, 5))
def test_items_that_the_order_does_not_tell_apart_are_all_on_some_page(
    items: list[str], limit: int
) -> None:
    seen, cursor, listed = 0, "", list(enumerate(items))
    while cursor or not seen:
        paged = Paged(limit=limit, cursor=cursor)
        page, cursor = page_of(listed, lambda item: (item[1],), paged, "things")
        seen += len(page)
        if not items:
            break
    assert seen == len(items)


def test_a_cursor_is_good_for_the_list_and_the_filters_that_it_came_from(
    api: CouncilApi,
) -> None:
    with api.client() as client:

        def refused(address: str) -> str:
            answer = client.get(address)
            assert answer.status_code == 400
            assert answer.headers["content-type"] == "application/problem+json"
            return str(answer.json()["detail"])

        cursor = client.get("/devices?limit=2").json()["next"]
        # The next page may be longer.
        assert client.get(f"/devices?limit=5&cursor={cursor}").json()["items"]
        said = {
            refused(f"{path}cursor={cursor}")
            for path in ("/lines?", "/devices?state=answering&", "/sites?")
        }
        first = client.get("/devices/dep-sw1/ports?limit=1").json()["next"]
        said.add(refused(f"/devices/dep-sw2/ports?cursor={first}"))
        # Every single letter is guarded.
        for place in range(0, len(cursor), 3):
            letter = "A" if cursor[place] != "A" else "Q"
            changed = cursor[:place] + letter + cursor[place + 1 :]
            said.add(refused(f"/devices?cursor={changed}"))
        said.add(refused("/devices?cursor=A"))
        assert said == {
            "cursor: expected `next` of a page of this list with the same filters"
        }


def test_the_pages_of_alerts_go_on_after_one_that_began_within_a_second(
    tmp_path: Path,
) -> None:
    more = [
        msgspec.structs.replace(
            ALERT, since_ms=ALERT.since_ms - 1_234, subject={"device": device}
        )
        for device in ("dep-sw1", "dep-sw2")
    ]
    api = CouncilApi(tmp_path)
    file_with(tmp_path, *more)
    with api.client() as client:
        seen, cursor = [], ""
        while cursor is not None:
            page = client.get(f"/alerts?limit=1&cursor={cursor}").json()
            seen += [alert["id"] for alert in page["items"]]
            cursor = page["next"]
    assert len(seen) == len(set(seen)) == 3

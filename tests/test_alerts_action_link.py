"""Links of messages: signed, for one action, for a time, and used once."""

from __future__ import annotations

import base64
import multiprocessing
import sqlite3
from pathlib import Path

import pytest
from alert_files import ALERT, EPISODE, NOW_MS, file_with
from hypothesis import given
from hypothesis import strategies as st

from alerts.acknowledgement import (
    AlreadyAcknowledged,
    acknowledge,
    acknowledge_by_link,
    linked_alert,
    silence_by_link,
)
from alerts.action_link import (
    ActionLink,
    LinkConfig,
    LinkRefused,
    LinkSigner,
    SignedLink,
    read_token,
    write_token,
)
from alerts.alert_access import list_silences, open_alerts
from alerts.silence import Silence
from collectors.secret import Secret

KEY = b"k" * 32
DAY_MS = 86_400_000
LINK = ActionLink(1, "acknowledge", EPISODE, NOW_MS + DAY_MS, "duty")


def test_a_link_is_read_back_until_it_expires() -> None:
    token = write_token(LINK, KEY)
    assert read_token(token, KEY, NOW_MS).link == LINK
    assert read_token(token, KEY, LINK.until_ms - 1).link == LINK
    with pytest.raises(LinkRefused, match="This link has expired") as refused:
        read_token(token, KEY, LINK.until_ms)
    assert refused.value.status == 410


@given(st.data())
def test_a_link_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    token = write_token(LINK, KEY)
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    forged = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    with pytest.raises(LinkRefused, match="not one that Towpath made"):
        read_token(forged, KEY, NOW_MS)


@given(st.text(max_size=200))
def test_any_other_text_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(LinkRefused):
        read_token(text, KEY, NOW_MS)


def test_a_link_of_another_key_or_cut_off_is_refused() -> None:
    token = write_token(LINK, KEY)
    for wrong, key in ((token, b"l" * 32), (token[:-3], KEY), ("", KEY)):
        with pytest.raises(LinkRefused) as refused:
            read_token(wrong, key, NOW_MS)
        assert refused.value.status == 403


def test_links_need_a_long_key_and_an_address(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("short")
    config = LinkConfig(key=Secret(file=tmp_path / "key"))
    assert not LinkSigner(LinkConfig(), "https://a").is_on
    assert not LinkSigner(config, "").is_on
    signer = LinkSigner(config, "https://a.example/")
    with pytest.raises(LookupError, match="has 5 characters, expected at least 32"):
        signer.url("acknowledge", EPISODE, "duty", NOW_MS)
    (tmp_path / "key").write_text("k" * 32)
    url = signer.url("acknowledge", EPISODE, "duty", NOW_MS)
    # The same for every attempt to send one message.
    assert url == signer.url("acknowledge", EPISODE, "duty", NOW_MS)
    assert url.startswith("https://a.example/act/")
    assert signer.read(url.rpartition("/")[2], NOW_MS).link == LINK


def _signed(action: str = "acknowledge", channel: str = "duty") -> SignedLink:
    link = ActionLink(1, action, EPISODE, NOW_MS + DAY_MS, channel)  # type: ignore[arg-type]
    return read_token(write_token(link, KEY), KEY, NOW_MS)


def test_who_and_why_are_recorded_once(tmp_path: Path) -> None:
    path = file_with(tmp_path, ALERT)
    assert linked_alert(path, _signed()).key == ALERT.key
    done = acknowledge_by_link(path, _signed(), "Ada", "supplier rung", NOW_MS + 5)
    assert done.is_new
    [alert] = open_alerts(path)
    assert (alert.acknowledged_by, alert.acknowledged_why) == ("Ada", "supplier rung")
    assert alert.acknowledged_ms == NOW_MS + 5
    for again in (_signed(), _signed(channel="other")):
        with pytest.raises(AlreadyAcknowledged, match="Ada has acknowledged") as known:
            acknowledge_by_link(path, again, "Bob", "", NOW_MS + 9)
        assert known.value.alert.acknowledged_why == "supplier rung"
    assert not acknowledge(path, ALERT.key, "Bob", "", NOW_MS + 9).is_new
    assert open_alerts(path)[0].acknowledged_by == "Ada"


def test_a_link_silences_once(tmp_path: Path) -> None:
    path = file_with(tmp_path, ALERT)
    wanted = Silence(0, NOW_MS, NOW_MS + 1000, "hall", who="Ada")
    silence_by_link(path, _signed("silence"), wanted)
    with pytest.raises(LinkRefused, match="This link was used already"):
        silence_by_link(path, _signed("silence"), wanted)
    with pytest.raises(LinkRefused, match="This link was used already"):
        linked_alert(path, _signed("silence"))
    assert len(list_silences(path, NOW_MS)) == 1
    # The other link of the same message still works.
    assert acknowledge_by_link(path, _signed(), "Ada", "", NOW_MS).is_new


def test_the_link_of_an_alert_that_is_over_says_so(tmp_path: Path) -> None:
    path = file_with(tmp_path, ALERT)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE alert SET open = 0")
    db.close()
    for act in (
        lambda: linked_alert(path, _signed()),
        lambda: acknowledge_by_link(path, _signed(), "Ada", "", NOW_MS),
    ):
        with pytest.raises(LinkRefused, match="This alert is over"):
            act()
    with pytest.raises(LinkRefused, match="not known here"):
        linked_alert(tmp_path / "none.sqlite", _signed())


def _race(path: Path, who: str, start: object, results: object) -> None:
    start.wait()  # type: ignore[attr-defined]
    try:
        new = acknowledge_by_link(path, _signed(channel=who), who, "", NOW_MS).is_new
    except AlreadyAcknowledged:
        new = False
    results.put((who, new))  # type: ignore[attr-defined]


def test_of_processes_that_acknowledge_at_once_exactly_one_is_first(
    tmp_path: Path,
) -> None:
    path = file_with(tmp_path, ALERT)
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(4), context.Queue()
    people = ["ada", "bob", "cem", "dot"]
    processes = [
        context.Process(target=_race, args=(path, who, start, results))
        for who in people
    ]
    for process in processes:
        process.start()
    answers = dict(results.get(timeout=60) for _ in people)
    for process in processes:
        process.join()
    [first] = [who for who, new in answers.items() if new]
    assert open_alerts(path)[0].acknowledged_by == first

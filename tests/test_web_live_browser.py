"""Live pages in a browser: what is drawn when, and what a pause stops."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest
from api_council import CouncilApi
from browser import browser
from council_page import page_client
from waiting import wait_until

from alerts.acknowledgement import acknowledge
from alerts.alert_access import open_alerts
from dashboards.web import StatusPage
from dashboards.web.api.live_updates import LiveTimes

# Changes are drawn without delay, and the answer to a fetch waits for `held[n]()`.
HOLD_ANSWERS = """
var held = [], fetched = fetch, source;
setTimeout = (work) => { work(); };
EventSource = class extends EventSource {
  constructor(address) { super(address); source = this; }
};
fetch = async (...asked) => {
  const answer = await fetched(...asked);
  await new Promise((go) => held.push(go));
  return answer;
};
"""


def test_a_page_has_the_script_and_works_without_it() -> None:
    with page_client() as client:
        script = client.get("/static/refresh.js").text
        page = client.get("/").text
    assert "new EventSource(`/api/v1/events?since=${drawn}`)" in script
    for kind in ("site", "alert", "status", "figures", "reset"):
        assert f'"{kind}"' in script
    assert '<span id="said" role="status"></span>' in page
    assert '<a href="">Refresh</a>' in page


@pytest.mark.service
async def test_in_a_browser_news_is_drawn_at_once_and_a_pause_is_one(
    tmp_path: Path,
) -> None:
    api = CouncilApi(tmp_path)
    page = api.page(live=LiveTimes(period_s=0.01), port=0, refresh_s=3600)
    async with page:
        await asyncio.to_thread(watch, page, api, tmp_path)


def watch(page: StatusPage, api: CouncilApi, folder: Path) -> None:
    def listeners(count: int) -> None:
        wait_until(lambda: page.updates.listeners == count, f"{count} streams", 20)

    with browser(folder) as chromium:
        shown = "document.getElementById('live')?.innerText ?? ''"
        button = "document.querySelector('#refresh button')"
        keep = "var ticks = []; setInterval = (work) => { ticks.push(work); };"
        chromium.call("Page.enable")
        chromium.call("Page.addScriptToEvaluateOnNewDocument", source=keep)
        chromium.call("Page.navigate", url=f"{page.url}/alerts")
        listeners(1)
        assert "Ada" not in chromium.run(shown)
        [alert] = open_alerts(api.path)
        acknowledge(api.path, alert.key, "Ada", "", api.now_ms)
        api.now_ms += 2_000
        wait_until(lambda: "Ada" in chromium.run(shown), "the news", 20)
        chromium.run(f"{button}.click()")
        listeners(0)
        assert chromium.run(f"{button}.textContent") == "Start refreshing"
        chromium.run(HOLD_ANSWERS)
        chromium.run(f"{button}.click()")
        listeners(1)
        # What changes while the page is fetched is drawn later.
        change = "source.dispatchEvent(new Event('figures'));"
        chromium.run(change)
        wait_until(lambda: chromium.run("held.length") == 1, "a fetch", 20)
        chromium.run(f"{change} held[0]()")
        look = "document.dispatchEvent(new Event('visibilitychange')); held.length"
        wait_until(lambda: chromium.run(look) == 2, "another fetch", 20)
        # A stream that looks open and from which nothing comes is not relied on.
        chromium.run("held[1](); let at = 0; performance.now = () => (at += 60_000)")
        tick = "ticks[0](); held.length"
        wait_until(lambda: chromium.run(tick) > 2, "a fetch in silence", 20)
    listeners(0)


@pytest.mark.service
async def test_a_page_that_cannot_be_brought_up_to_date_says_so_once_and_how_old_it_is(
    tmp_path: Path,
) -> None:
    api = CouncilApi(tmp_path)
    page = api.page(live=LiveTimes(period_s=0.01), port=0, refresh_s=3600)
    async with page:
        await asyncio.to_thread(lose_and_find, page, api, tmp_path)


# The time goes on only as `later` says, and all that screen readers say is kept.
CLOCK = """
var ticks = [], later = 0, spoken = [], fetched = fetch, nothing = null, asked = 0;
setInterval = (work) => { ticks.push(work); };
const now = Date.now, since = performance.now.bind(performance);
Date.now = () => now() + later;
performance.now = () => since() + later;
fetch = async (...all) => {
  try { return nothing ? await nothing(...all) : await fetched(...all); }
  finally { asked += 1; }
};
addEventListener("DOMContentLoaded", () => {
  const said = document.getElementById("said");
  const note = () => { if (said.textContent) spoken.push(said.textContent); };
  new MutationObserver(note).observe(said, { childList: true });
});
"""


def lose_and_find(page: StatusPage, api: CouncilApi, folder: Path) -> None:
    with browser(folder) as chromium:
        run = chromium.run
        chromium.call("Page.enable")
        chromium.call("Page.addScriptToEvaluateOnNewDocument", source=CLOCK)
        chromium.call("Page.navigate", url=f"{page.url}/")
        wait_until(lambda: page.updates.listeners == 1, "a stream", 20)
        age = "document.querySelector('main .panel').textContent"
        is_hidden = "document.querySelector('main .panel').hidden"

        def pass_time(minutes: int) -> None:
            """What is heard no longer counts: the page is fetched."""
            before = run("asked")
            run(f"later += {minutes} * 60000; ticks[0]()")
            wait_until(lambda: run("asked") > before, "a fetch", 20)
            run("ticks[1]()")

        assert run(is_hidden)
        run("nothing = () => Promise.reject(new TypeError('gone'))")
        for _ in range(4):
            pass_time(1)
        assert ", 4 minutes ago. Towpath could not be reached" in run(age)
        assert len(run("spoken")) == 1
        run("nothing = null")
        api.now_ms += 2_000
        pass_time(1)
        wait_until(lambda: run(is_hidden), "a page of now", 20)
        assert run("spoken").pop() == "This page is up to date again."
        # What is typed and not sent stays; the page is drawn around it.
        run("document.getElementById('q').value = 'mary'; document.body.focus()")
        drawn = "document.querySelector('#drawn time').dateTime"
        before = run(drawn)
        api.now_ms += 60_000
        pass_time(1)
        wait_until(lambda: run(drawn) != before, "a drawn page", 20)
        assert run("document.getElementById('q').value") == "mary"
        # For somebody who moves through the page a new state is announced, and the
        # page waits.
        run("document.getElementById('q').focus()")
        before, heard = run(drawn), len(run("spoken"))
        with contextlib.closing(sqlite3.connect(api.path)) as db, db:
            db.execute("DELETE FROM alert")
        api.now_ms += 60_000
        wait_until(lambda: len(run("spoken")) > heard, "a sentence", 20)
        assert run(drawn) == before
        pass_time(2)
        assert "It waits while you use it." in run(age)
        run("document.activeElement.blur()")
        wait_until(lambda: run(drawn) != before, "a drawn page", 20)
        # A session that has ended leads to the sign-in, which is not this page.
        run("nothing = () => fetched('/accessibility')")
        pass_time(1)
        wait_until(lambda: "signed out" in run(age), "the reason", 20)
        wait_until(lambda: page.updates.listeners == 0, "no stream", 20)
        before = run("asked")
        run("later += 600000; ticks[0]()")
        assert run("asked") == before

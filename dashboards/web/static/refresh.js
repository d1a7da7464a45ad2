// Brings the page up to date in place: as soon as the server says that something has
// changed, or now and then if it cannot. It keeps the focus, open details and the scroll
// position, says only that the state changed, and can be stopped. Without it the page
// stands as it was drawn, with a link to draw it again.
"use strict";
(() => {
  const live = document.getElementById("live");
  const tools = document.getElementById("refresh");
  if (!live || !tools) return;
  const seconds = Number(live.dataset.refresh) || 30;
  const said = document.getElementById("said");
  const button = document.createElement("button");
  let paused = sessionStorage.getItem("paused") === "1";
  const name = () => {
    button.textContent = paused ? "Start refreshing" : "Pause refreshing";
  };
  button.type = "button";
  name();
  button.addEventListener("click", () => {
    paused = !paused;
    sessionStorage.setItem("paused", paused ? "1" : "0");
    name();
    listen();
  });
  tools.append(button);

  const address = (element) => {
    const path = [];
    for (let at = element; at && at !== live; at = at.parentElement)
      path.unshift([...at.parentElement.children].indexOf(at));
    return path;
  };
  // Whether something has changed since the page was drawn, as far as is known.
  let old = false;
  let busy = false;
  const refresh = async () => {
    old = true;
    if (busy || paused || document.hidden) return;
    // Do not disturb a reader who selects text or moves through the page.
    if (String(getSelection()) !== "" || live.contains(document.activeElement)) return;
    busy = true;
    try {
      await draw();
    } finally {
      busy = false;
    }
  };
  // What the page shows, but for what its reader has opened.
  let shown = live.innerHTML;
  const draw = async () => {
    let text;
    // What changes from now on may be missing from the answer.
    old = false;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      text = await answer.text();
    } catch {
      old = true;
      said.textContent = "This page could not be brought up to date; it is as old as it says.";
      return;
    }
    const next = new DOMParser().parseFromString(text, "text/html");
    const fresh = next.getElementById("live");
    if (!fresh) return;
    const open = [...live.querySelectorAll("details[open]")].map(address);
    const before = live.dataset.state;
    // A page that has not changed stays as it is, with the place of its reader.
    if (fresh.innerHTML !== shown) {
      shown = fresh.innerHTML;
      live.replaceChildren(...fresh.childNodes);
      for (const path of open) {
        let at = live;
        for (const n of path) at = at && at.children[n];
        if (at && at.tagName === "DETAILS") at.open = true;
      }
    }
    live.dataset.state = fresh.dataset.state;
    const drawn = next.getElementById("drawn");
    if (drawn) document.getElementById("drawn").replaceChildren(...drawn.childNodes);
    if (before !== live.dataset.state) said.textContent = live.dataset.state;
  };

  let source = null;
  let soon = 0;
  // A stream that a proxy keeps back, or whose connection has died, looks open: only what
  // arrives counts. The server says something every 15 seconds.
  const SILENCE_MS = 40000;
  let heard = -Infinity;
  // Several changes at once draw the page once.
  const changed = () => {
    clearTimeout(soon);
    soon = setTimeout(refresh, 500);
  };
  const listen = () => {
    const wanted = !paused && !document.hidden && "EventSource" in window;
    if (source && (!wanted || source.readyState === EventSource.CLOSED)) {
      source.close();
      source = null;
    }
    if (!wanted || source) return;
    // Also what has changed since the page was drawn, and before it listened.
    const drawn = document.querySelector("#drawn time").dateTime;
    source = new EventSource(`/api/v1/events?since=${drawn}`);
    heard = -Infinity;
    for (const kind of ["here", "site", "alert", "status", "figures", "reset"])
      source.addEventListener(kind, () => {
        heard = performance.now();
        if (kind !== "here") changed();
      });
  };
  document.addEventListener("visibilitychange", () => {
    listen();
    if (!document.hidden && old) refresh();
  });
  addEventListener("pagehide", () => source && source.close());
  addEventListener("pageshow", () => listen());
  const hears = () =>
    source && source.readyState === EventSource.OPEN && performance.now() - heard < SILENCE_MS;
  setInterval(() => {
    // The server may have refused the stream: then fetch the page now and then.
    if (old || !hears()) refresh();
    // What was heard before and is silent now has died.
    if (source && source.readyState === EventSource.OPEN && heard > 0 && !hears()) {
      source.close();
      source = null;
      listen();
    }
  }, seconds * 1000);
})();

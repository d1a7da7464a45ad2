// Brings the page up to date in place: as soon as the server says that something has
// changed, or now and then if it cannot. It keeps the focus, open details, what is typed
// and the scroll position, says only that the state changed, and can be stopped. While it
// cannot, the page says how old it is. Without it the page stands as it was drawn, with a
// link to draw it again.
"use strict";
(() => {
  const live = document.getElementById("live");
  const tools = document.getElementById("refresh");
  if (!live || !tools) return;
  const seconds = Number(live.dataset.refresh) || 30;
  const said = document.getElementById("said");
  const button = document.createElement("button");
  // Browsers may forbid that anything is kept.
  const kept = (value) => {
    try {
      if (value !== undefined) sessionStorage.setItem("paused", value);
      return sessionStorage.getItem("paused") === "1";
    } catch {
      return value === "1";
    }
  };
  let paused = kept();
  const name = () => {
    button.textContent = paused ? "Start refreshing" : "Pause refreshing";
  };
  button.type = "button";
  name();
  button.addEventListener("click", () => {
    paused = !paused;
    kept(paused ? "1" : "0");
    name();
    listen();
    showAge();
  });
  tools.append(button);

  // Whether something has changed since the page was drawn, as far as is known.
  let old = false;
  // Why it is not brought up to date, and whether that is for good.
  let why = "";
  let ended = false;
  let drawnAt = Date.now();
  const age = document.createElement("p");
  age.className = "panel";
  age.hidden = true;
  live.before(age);
  // Not announced: it changes every minute.
  const showAge = () => {
    const minutes = Math.floor((Date.now() - drawnAt) / 60000);
    age.hidden = !ended && (!(old || paused) || minutes < 1);
    if (age.hidden) return;
    const time = document.querySelector("#drawn time").textContent;
    const ago = minutes < 1 ? "" : minutes === 1 ? ", a minute ago" : `, ${minutes} minutes ago`;
    const reason = why || (paused ? "Refreshing is paused." : isRead() ? "It waits while you use it." : "");
    age.textContent = `This page is of ${time}${ago}. ${reason}`;
  };

  // Screen readers announce the first text at once, then the latest at most twice a
  // minute.
  const QUIET_MS = 30000;
  let spokenAt = -Infinity;
  let waiting = 0;
  const speak = (text) => {
    if (said.textContent === text) return;
    said.textContent = text;
    spokenAt = Date.now();
  };
  const announce = (text) => {
    clearTimeout(waiting);
    const rest = spokenAt + QUIET_MS - Date.now();
    if (rest > 0) waiting = setTimeout(() => speak(text), rest);
    else speak(text);
  };

  // Details are known by what they belong to: others come and go above them.
  const place = (details) => {
    const box = details.closest("article, figure, section") || live;
    const head = box.querySelector("h2, h3, figcaption");
    const order = [...box.querySelectorAll("details")].indexOf(details);
    return `${box.dataset.key || (head && head.textContent)} ${order}`;
  };
  // A reader who selects text or moves through the page is not disturbed.
  const isRead = () => String(getSelection()) !== "" || live.contains(document.activeElement);
  let busy = false;
  const refresh = async (isNews = true) => {
    old = true;
    if (busy || paused || ended || document.hidden) return showAge();
    // A new state is announced even to somebody who reads; the page itself waits.
    if (isRead() && !isNews) return showAge();
    busy = true;
    try {
      await draw();
    } finally {
      busy = false;
      showAge();
    }
  };
  // What was drawn last, without what the reader has opened, and the state announced.
  let shown = live.innerHTML;
  let state = live.dataset.state;
  const fail = (reason, spoken) => {
    old = true;
    why = reason;
    announce(spoken || reason);
  };
  const draw = async () => {
    let text;
    // What changes from now on may be missing from the answer.
    old = false;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      const isOut = new URL(answer.url).pathname !== location.pathname || answer.status === 403;
      if (isOut || answer.status === 404) {
        ended = true;
        fail(isOut ? "You may be signed out: refresh the page to go on." : "It is no longer there.");
        return listen();
      }
      if (!answer.ok) throw new Error(String(answer.status));
      text = await answer.text();
    } catch {
      fail(
        "Towpath could not be reached: refresh the page to try again or to sign in.",
        "This page could not be brought up to date; it is as old as it says.",
      );
      return;
    }
    const next = new DOMParser().parseFromString(text, "text/html");
    const fresh = next.getElementById("live");
    if (!fresh) return fail("Towpath answered with another page.");
    if (state !== fresh.dataset.state) announce(fresh.dataset.state);
    else if (why) announce("This page is up to date again.");
    why = "";
    state = fresh.dataset.state;
    if (isRead()) {
      old = true;
      return;
    }
    // A page that has not changed stays as it is, with the place of its reader.
    if (fresh.innerHTML !== shown) {
      shown = fresh.innerHTML;
      const open = new Set([...live.querySelectorAll("details[open]")].map(place));
      const typed = [...live.querySelectorAll("input, select")].map((field) => [field.id, field.value]);
      live.replaceChildren(...fresh.childNodes);
      for (const details of live.querySelectorAll("details"))
        if (open.has(place(details))) details.open = true;
      for (const [id, value] of typed) {
        const field = document.getElementById(id);
        if (field && field.value !== value) field.value = value;
      }
    }
    document.title = next.title;
    drawnAt = Date.now();
    const drawn = next.getElementById("drawn");
    if (drawn) document.getElementById("drawn").replaceChildren(...drawn.childNodes);
  };
  live.addEventListener("focusout", () => setTimeout(() => old && refresh(false), 1000));

  let source = null;
  let soon = 0;
  // A stream that a proxy keeps back, or whose connection has died, looks open: only what
  // arrives counts. The server says something every 15 seconds.
  const SILENCE_MS = 40000;
  let heard = -Infinity;
  // Several changes at once draw the page once.
  let isNews = false;
  const changed = (kind) => {
    isNews = isNews || kind !== "figures";
    clearTimeout(soon);
    soon = setTimeout(() => {
      const news = isNews;
      isNews = false;
      refresh(news);
    }, 500);
  };
  const listen = () => {
    const wanted = !paused && !ended && !document.hidden && "EventSource" in window;
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
        if (kind !== "here") changed(kind);
      });
  };
  document.addEventListener("visibilitychange", () => {
    listen();
    if (!document.hidden && old) refresh();
    else showAge();
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
    }
    // A stream that was refused, as while the server starts again, is asked for again.
    listen();
  }, seconds * 1000);
  setInterval(showAge, 15000);
})();

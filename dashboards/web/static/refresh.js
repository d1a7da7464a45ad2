// Brings the page up to date in place. It keeps the focus, open details and the scroll
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
  });
  tools.append(button);

  const address = (element) => {
    const path = [];
    for (let at = element; at && at !== live; at = at.parentElement)
      path.unshift([...at.parentElement.children].indexOf(at));
    return path;
  };
  const refresh = async () => {
    if (paused || document.hidden) return;
    // Somebody selecting text or moving through the page is not to be disturbed.
    if (String(getSelection()) !== "" || live.contains(document.activeElement)) return;
    let text;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      text = await answer.text();
    } catch {
      said.textContent = "This page could not be brought up to date; it is as old as it says.";
      return;
    }
    const next = new DOMParser().parseFromString(text, "text/html");
    const fresh = next.getElementById("live");
    if (!fresh) return;
    const open = [...live.querySelectorAll("details[open]")].map(address);
    const before = live.dataset.state;
    live.replaceChildren(...fresh.childNodes);
    live.dataset.state = fresh.dataset.state;
    for (const path of open) {
      let at = live;
      for (const n of path) at = at && at.children[n];
      if (at && at.tagName === "DETAILS") at.open = true;
    }
    const drawn = next.getElementById("drawn");
    if (drawn) document.getElementById("drawn").replaceChildren(...drawn.childNodes);
    if (before !== live.dataset.state) said.textContent = live.dataset.state;
  };
  setInterval(refresh, seconds * 1000);
})();

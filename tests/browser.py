"""Chromium without a window, spoken to over its debugging protocol (CDP): what a page
looks like in a colour scheme, on paper, with the keyboard's focus at each place."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import services
from waiting import wait_until
from websockets.sync.client import ClientConnection, connect

# Text needs 4.5:1 (3:1 if it is large), marks need 3:1 (WCAG 1.4.3, 1.4.11).
_SCRIPT = r"""
(() => {
  const parse = (text) => {
    const n = (text.match(/[\d.]+/g) || []).map(Number);
    const a = n.length > 3 ? n[3] : text === "transparent" ? 0 : 1;
    return { rgb: n.slice(0, 3), a };
  };
  const over = (top, under) =>
    top.rgb.map((c, i) => c * top.a + under[i] * (1 - top.a));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => {
      const c = v / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const canvas = () => {
    const probe = document.createElement("div");
    probe.style.cssText = "background: Canvas; position: fixed";
    document.body.append(probe);
    const found = parse(getComputedStyle(probe).backgroundColor).rgb;
    probe.remove();
    return found;
  };
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const layer = parse(getComputedStyle(at).backgroundColor);
      if (layer.a > 0) layers.unshift(layer);
      if (layer.a === 1) break;
    }
    let rgb = layers.length && layers[0].a === 1 ? [0, 0, 0] : canvas();
    for (const layer of layers) rgb = over(layer, rgb);
    return rgb;
  };
  const visible = (element) => {
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    return (
      element.checkVisibility({ visibilityProperty: true }) &&
      box.width > 1 && box.height > 1 && style.clipPath === "none" &&
      !element.closest(".hidden")
    );
  };
  const findings = (root, where) => {
    const found = [];
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    let read = 0;
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      const element = node.parentElement;
      if (!node.data.trim() || !visible(element)) continue;
      if (element.closest("style, script, title, desc")) continue;
      read += 1;
      const style = getComputedStyle(element);
      const back = behind(element);
      const ink = parse(element.closest("svg") ? style.fill : style.color);
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const least = large ? 3 : 4.5;
      const is = ratio(over(ink, back), back);
      const text = node.data.trim().slice(0, 40);
      if (is < least) found.push(`${where}: "${text}" is ${is.toFixed(2)}:1`);
    }
    for (const mark of root.querySelectorAll(".status svg path, .banner svg path")) {
      const svg = mark.closest("svg");
      if (!visible(svg)) continue;
      const back = behind(svg);
      const is = ratio(over(parse(getComputedStyle(mark).fill), back), back);
      if (is < 3) found.push(`${where}: a mark is ${is.toFixed(2)}:1`);
    }
    return { found, read };
  };
  window.towpath = {
    open: () => document.querySelectorAll("details").forEach((d) => (d.open = true)),
    // The next Tab goes to the first thing of the page.
    start: () => {
      const first = document.createElement("span");
      first.tabIndex = -1;
      document.body.prepend(first);
      first.focus();
      first.remove();
    },
    focusable: () =>
      [...document.querySelectorAll(
        "a[href], button, summary, [tabindex='0'], select, textarea, " +
        "input:not([type=hidden], [type=radio]), input[type=radio]:checked"
      )].filter((element) => element.checkVisibility()).length,
    whole: () => findings(document.body, "the page"),
    // What does not fit into the window's width: the page, regions that would have to
    // be scrolled, and words that are broken into two lines.
    narrow: () => {
      const found = [];
      const page = document.documentElement;
      if (page.scrollWidth > page.clientWidth)
        found.push(`the page is ${page.scrollWidth} wide, not ${page.clientWidth}`);
      for (const one of document.querySelectorAll(".scroll"))
        if (one.scrollWidth > one.clientWidth + 1)
          found.push(`a table is scrolled: ${one.textContent.trim().slice(0, 40)}`);
      for (const one of document.querySelectorAll("[tabindex]"))
        if (one.tabIndex > 0) found.push(`a stop out of order: ${one.outerHTML}`);
      for (const one of document.querySelectorAll("[tabindex='0']"))
        if (one.scrollWidth <= one.clientWidth && one.scrollHeight <= one.clientHeight)
          found.push(`a stop where nothing scrolls: ${one.className}`);
      // The letters of a drawing shrink with it.
      for (const one of document.querySelectorAll("svg text"))
        if (visible(one)) {
          const drawn = parseFloat(getComputedStyle(one).fontSize);
          const size = drawn * one.getScreenCTM().a;
          if (size < 8.5)
            found.push(`letters of ${size.toFixed(1)} px: ${one.textContent}`);
        }
      const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      const range = document.createRange();
      for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        const inside = node.parentElement;
        if (!visible(inside) || inside.closest("svg, style, script, code")) continue;
        const head = inside.closest("thead");
        if (head && !visible(head)) continue;
        // A longer one, such as an identifier, may be broken. So may a path at a slash.
        const words = /(?<![^\s/-])[^\s/-]{2,18}(?![^\s/-])/gu;
        for (const word of node.data.matchAll(words)) {
          range.setStart(node, word.index);
          range.setEnd(node, word.index + word[0].length);
          const tops = [...range.getClientRects()].map((box) => Math.round(box.top));
          if (new Set(tops).size > 1) found.push(`a word is broken: ${word[0]}`);
        }
      }
      return found;
    },
    selected: () => {
      const style = getComputedStyle(document.querySelector("p"), "::selection");
      const back = parse(style.backgroundColor).rgb;
      return ratio(parse(style.color).rgb, back);
    },
    // Moves the focus to the next thing, as a key does; what is wrong with it there.
    focused: () => {
      const at = document.activeElement;
      if (!at || at === document.body) return null;
      const name = `${at.localName}.${at.className} ` +
        `"${(at.getAttribute("aria-label") || at.textContent).trim().slice(0, 30)}"`;
      const { found, read } = findings(at, name);
      const style = getComputedStyle(at);
      const around = behind(at.parentElement);
      const own = behind(at);
      const ring = ratio(parse(style.outlineColor).rgb, around);
      const fill = ratio(own, around);
      if (!at.matches(":focus-visible")) found.push(`${name}: no visible focus`);
      if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2)
        found.push(`${name}: no outline`);
      else if (Math.max(ring, fill) < 3)
        found.push(`${name}: the outline is ${ring.toFixed(2)}:1`);
      return { name, found, read };
    },
  };
})();
"""


class Browser:
    """One tab."""

    def __init__(self, connection: ClientConnection, folder: Path) -> None:
        self._connection, self._folder = connection, folder
        self._ids = itertools.count(1)

    def call(self, method: str, **parameters: Any) -> Any:
        id = next(self._ids)
        message = {"id": id, "method": method, "params": parameters}
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv(timeout=60))
            if answer.get("id") == id:
                assert "error" not in answer, (method, answer)
                return answer["result"]

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        done = self.call(
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def show(self, html: str, medium: str = "screen", **features: str) -> None:
        """Draws `html`; `features` such as `prefers_color_scheme="dark"`."""
        self.restyle(medium, **features)
        file = self._folder / f"page-{next(self._ids)}.html"
        file.write_text(html, encoding="utf-8")
        self.call("Page.navigate", url=file.as_uri())
        wait_until(
            lambda: (
                self.run("document.readyState + location.href")
                == f"complete{file.as_uri()}"
            ),
            "the page to be drawn",
        )
        self.run(_SCRIPT)
        self.run("towpath.open()")

    def restyle(self, medium: str = "screen", **features: str) -> None:
        """Draws the same page for another medium or with other features."""
        given = [
            {"name": name.replace("_", "-"), "value": value}
            for name, value in features.items()
        ]
        # A colour that is still changing is not measured.
        given.append({"name": "prefers-reduced-motion", "value": "reduce"})
        self.call("Emulation.setEmulatedMedia", media=medium, features=given)

    def press_tab(self) -> None:
        key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
        self.call("Input.dispatchKeyEvent", type="keyDown", **key)
        self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    def focus_findings(self) -> tuple[list[str], int]:
        """What is wrong with anything that can be focused, and how many there are: the
        Tab key goes once through the page."""
        found: list[str] = []
        count = 0
        self.run("towpath.start()")
        wanted = self.run("towpath.focusable()")
        for _ in range(wanted):
            self.press_tab()
            seen = self.run("towpath.focused()")
            if seen is None:
                break
            count += 1
            found += seen["found"]
        assert count >= wanted - 1, (count, wanted)
        return found, count

    def width(self, pixels: int, height: int = 900) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=pixels,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def picture(self, path: Path) -> None:
        taken = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))


@contextlib.contextmanager
def browser(folder: Path, *flags: str) -> Iterator[Browser]:
    """A Chromium of its own; skips the test without one (fails where CI=true)."""
    folder.mkdir(parents=True, exist_ok=True)
    port_file = folder / "DevToolsActivePort"
    command = [services.program("chromium"), "--headless=new", "--no-sandbox"]
    command += ["--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", *flags]
    command += [f"--user-data-dir={folder}", "--remote-debugging-port=0", "about:blank"]
    server = services.Server(
        command, folder, 0, lambda: port_file.exists() and port_file.stat().st_size > 0
    )
    with services.running(server):
        port = port_file.read_text().split()[0]
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/json/list", timeout=30
        ) as answer:
            pages = [target for target in json.load(answer) if target["type"] == "page"]
        with connect(
            pages[0]["webSocketDebuggerUrl"], max_size=None, open_timeout=30
        ) as connection:
            yield Browser(connection, folder)

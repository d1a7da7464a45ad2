"""Grafana's own code for boards, in a browser: the libraries that Grafana publishes on
npm (`@grafana/scenes`, `@grafana/data`, `@grafana/ui`; Apache-2.0), of old versions and
of the newest.

`data/grafana_libraries/` reads a board's JSON and queries an InfluxDB. npm installs the
libraries when they are first used, into `TOWPATH_GRAFANA_LIBRARIES` or else into the
user's cache, 450 MB for each version.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from browser import Browser, browser
from grafana_asks import Influx
from waiting import wait_until

SOURCES = Path(__file__).parent / "data" / "grafana_libraries"
_CACHE = "TOWPATH_GRAFANA_LIBRARIES"
# Major version of Grafana → what npm installs. Each pair of scenes and data is one that
# can be bundled: scenes 9.2 needs a part of the runtime that is not published yet.
LIBRARIES = {
    "9": ("9.5.7", "0.29.0", "17"),
    "10": ("10.4.8", "3.14.0", "18"),
    "13": ("13.2.3", "8.18.2", "19"),
}
NEWEST = max(LIBRARIES, key=int)
_OF_GRAFANA = ("data", "ui", "runtime", "schema", "e2e-selectors")
_INSTALL_S = 1800


def install(major: str, page: str = "page") -> Path:
    """Returns the script of a page with the libraries of one Grafana: `page`, or
    `pictures`, which the newest alone can draw. Raises `OSError` or
    `subprocess.SubprocessError` if npm fails."""
    grafana, scenes, react = LIBRARIES[major]
    cache = os.environ.get(_CACHE) or Path.home() / ".cache" / "towpath-tests"
    folder = Path(cache) / f"grafana-{grafana}"
    # It is written last, so what was broken off is installed again.
    is_complete = folder / "complete"
    if not is_complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"private": true}\n')
        packages = [f"@grafana/{name}@{grafana}" for name in _OF_GRAFANA]
        if int(major) >= 12:
            packages.append(f"@grafana/i18n@{grafana}")
        packages += [f"@grafana/scenes@{scenes}", "rxjs@7", "esbuild"]
        packages += [f"react@{react}", f"react-dom@{react}"]
        # The libraries ask for versions of each other that differ in small things.
        options = ["--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund"]
        _run(["npm", "install", *options, *packages], folder)
        is_complete.touch()
    _run(["node", str(SOURCES / "build.mjs"), str(folder), page], folder)
    return folder / f"{page}.js"


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        timeout=_INSTALL_S,
        cwd=folder,
    )


class GrafanaPage:
    """A page that shows boards as Grafana does."""

    def __init__(self, tab: Browser, influx: Influx) -> None:
        self._tab, self._influx = tab, influx

    def show(
        self,
        document: dict[str, Any],
        database: str,
        seconds: int = 3600,
        choices: dict[str, Any] | None = None,
    ) -> Any:
        """Returns what each variable and panel of a board shows. `choices`: variable →
        value, or values, instead of what the board begins with."""
        source = {
            "url": self._influx.url,
            "token": self._influx.token,
            "database": database,
        }
        end_ms = self._influx.end_ms
        span = {"from": end_ms - seconds * 1000, "to": end_ms}
        arguments = ", ".join(map(json.dumps, (document, source, span, choices or {})))
        return json.loads(
            self._tab.run(f"boards.showBoard({arguments}).then(JSON.stringify)")
        )

    def draw(self, path: Path, width: int) -> None:
        """Draws the panels of the board that was shown last; `width` in pixels."""
        self._tab.width(width)
        height = self._tab.run(f"boards.drawBoard({width})")
        # Tables draw only rows in sight.
        self._tab.width(width, height)
        self._tab.run("boards.drawn()")
        self._tab.picture(path)

    def unknown_units(self, units: list[str]) -> list[str]:
        """Returns those that Grafana does not know."""
        unknown: list[str] = self._tab.run(f"boards.unknownUnits({json.dumps(units)})")
        return unknown


@contextlib.contextmanager
def grafana_page(
    major: str, influx: Influx, folder: Path, page_name: str = "page"
) -> Iterator[GrafanaPage]:
    script = install(major, page_name)
    # Grafana's server queries the store; here a page of another origin does.
    with browser(folder, "--disable-web-security") as tab:
        page = folder / "page.html"
        page.write_text(
            '<!doctype html><meta charset="utf-8">'
            f'<link rel="stylesheet" href="{script.with_suffix(".css").as_uri()}">'
            f'<body><script src="{script.as_uri()}"></script>'
        )
        tab.call("Page.navigate", url=page.as_uri())
        wait_until(
            lambda: tab.run("document.readyState + typeof boards") == "completeobject",
            "the libraries to be loaded",
        )
        yield GrafanaPage(tab, influx)

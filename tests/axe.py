"""axe-core, which checks a page in a browser against WCAG: fetched by `make services`.
It is in no package of Towpath."""

from __future__ import annotations

import json
import os
import tarfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import services

if TYPE_CHECKING:
    from browser import Browser

VERSION = "4.14.1"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
ARCHIVE = _CACHE / "towpath" / f"axe-core-{VERSION}.tgz"
# Of WCAG 2.2 up to AA, and what axe's authors call best practice.
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@cache
def _script() -> str:
    if not ARCHIVE.exists():
        services.absent(f"axe-core is not at {ARCHIVE} (make services)")
    with tarfile.open(ARCHIVE) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


def findings(browser: Browser, *rules: str) -> tuple[list[str], int]:
    """What is wrong with the page that `browser` shows, and how many rules passed.
    `rules`: only these. Skips the test without axe-core (fails if CI=true)."""
    browser.run(f"window.axe ? 0 : void (() => {{{_script()}}})()")
    only = {"type": "rule", "values": rules} if rules else None
    options = {
        "runOnly": only or {"type": "tag", "values": TAGS},
        # Size of targets (WCAG 2.5.8) is off by default.
        "rules": {} if rules else {"target-size": {"enabled": True}},
        "resultTypes": ["violations", "passes"],
    }
    found = browser.run(
        f"axe.run(document, {json.dumps(options)}).then(r => [r.passes.length, "
        "r.violations.map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => "
        "n.html.slice(0, 140) + ' ' + n.failureSummary).join(' | '))])"
    )
    return found[1], found[0]

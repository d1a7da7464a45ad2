"""Rows of a council of 200 sites, some of which are in trouble, made from counters."""

from __future__ import annotations

from collections.abc import Iterator

from dashboards.web.site_rows import STATES, URGENCIES
from probes.wire.sample import Sample, Value

SITES = 200
# Site → its state; all others work.
IN_TROUBLE = {
    "site-011": "Degraded",
    "site-042": "Down",
    "site-099": "Problem",
    "site-133": "No data",
    "site-150": "Down",
    "site-199": "Not monitored",
}
MINUTE_MS = 60_000


def site_id(n: int) -> str:
    return f"site-{n:03}"


def use_ratio(n: int) -> float:
    """The use of a site's line: another one for each site."""
    return (n * 37 % SITES) / SITES


def large_council_rows(from_ms: int, to_ms: int) -> Iterator[Sample]:
    for at in range(from_ms, to_ms, MINUTE_MS):
        for n in range(SITES):
            yield from _rows_of_site(n, site_id(n), at)


def _rows_of_site(n: int, site: str, at: int) -> Iterator[Sample]:
    text = IN_TROUBLE.get(site, "Working")
    up = int(text != "Down")
    fields: dict[str, Value] = {
        "state": STATES[text],
        "urgency": URGENCIES[text],
        "state_text": text,
        "name": f"Site {n}",
        "devices": 1,
        "devices_up": up,
        "alerts_firing": int(not up),
    }
    line: dict[str, Value] = {"up": up, "carrying": up, "circuit_ref": f"ETH{n}"}
    if up:
        line["down_use_ratio"], line["up_use_ratio"] = use_ratio(n), 0.1
        fields["busiest_line"] = f"{site}-wan"
        fields["busiest_line_use_ratio"] = use_ratio(n)
    else:
        fields["why"] = f"Site {n}: its line is down"
    yield Sample("site", {"site": site}, fields, at)
    tags = {
        "line": f"{site}-wan",
        "site": site,
        "role": "primary",
        "supplier": ("Northern Fibre", "Moor Telecom")[n % 2],
    }
    yield Sample("line", tags, line, at)
    polled: dict[str, Value] = {"name": f"Switch {n}", "answered": up, "restarted": 0}
    device = {"device": f"{site}-sw1", "site": site, "role": "switch"}
    yield Sample("device", device, polled, at)

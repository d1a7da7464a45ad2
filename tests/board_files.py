"""Small dashboards in JSON, right in every way, to be made wrong in one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from collectors.server_measurements import CATALOGUE
from dashboards.grafana import Finding, check_folder

DEFAULTS = ("fieldConfig", "defaults")
RTT = 'SELECT mean("icmp_rtt_ms") FROM "device"'
SOURCE = {"type": "influxdb", "uid": "towpath-shared"}


def target(query: str, **more: Any) -> dict[str, Any]:
    return {
        "refId": "A",
        "datasource": SOURCE,
        "rawQuery": True,
        "query": query,
        "resultFormat": "time_series",
        **more,
    }


def graph(query: str = "", **more: Any) -> dict[str, Any]:
    written = query or (
        'SELECT mean("icmp_rtt_ms") FROM "device" WHERE $timeFilter AND '
        '"device" =~ /^${device:regex}$/ GROUP BY time($__interval) fill(null)'
    )
    return {
        "type": "timeseries",
        "title": "How fast is a ping?",
        "description": "Round trip.",
        "datasource": SOURCE,
        "targets": [target(written)],
        "fieldConfig": {
            "defaults": {
                "unit": "ms",
                "custom": {"spanNulls": False, "fillOpacity": 0},
            },
            "overrides": [],
        },
        "options": {"legend": {"showLegend": True}},
        **more,
    }


def table(query: str = "", **more: Any) -> dict[str, Any]:
    written = query or (
        'SELECT last("uptime_s") FROM "device" WHERE $timeFilter GROUP BY "device"'
    )
    return {
        "type": "table",
        "title": "Which runs longest?",
        "description": "All devices.",
        "datasource": SOURCE,
        "targets": [target(written, resultFormat="table")],
        "fieldConfig": {"defaults": {"unit": "s"}, "overrides": []},
        "options": {},
        **more,
    }


def variable(name: str = "device", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": f'SHOW TAG VALUES FROM "device" WITH KEY = "{name}"',
        "multi": False,
        "includeAll": False,
        **more,
    }


def dashboard(*panels: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "uid": "own",
        "title": "Our own",
        "description": "What we look at.",
        "time": {"from": "now-24h", "to": "now"},
        "refresh": "1m",
        "panels": list(panels) or [graph(), table()],
        "templating": {"list": [variable()]},
        "links": [{"type": "link", "title": "Estate", "url": "/d/towpath-estate"}],
        **more,
    }


def findings(folder: Path, document: Any) -> list[Finding]:
    """What the check reports of one file."""
    (folder / "own.json").write_text(json.dumps(document))
    return check_folder(folder, CATALOGUE)


def changed(document: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    """A copy with one value set, or removed if `to` is None."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    holder: Any = copy
    for name in path[:-1]:
        holder = holder[name]
    if to is None:
        del holder[path[-1]]
    else:
        holder[path[-1]] = to
    return copy

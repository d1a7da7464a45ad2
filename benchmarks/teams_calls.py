"""What Microsoft's record of calls costs.

Records normalised per second, and an hour of a tenant with 2,200 people and 30,000
calls in ten hours, over HTTPS from a fake Graph in a process of its own. The figures
are processor time of this process only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from append_doubles import ListAppend
from call_records import BEGIN_MS, TENANT
from graph_server import CLIENT, SECRET

from benchmarks.graph_day import made_record
from collectors.calls.call_collector import CallCollector
from collectors.calls.call_places import CallLocator
from collectors.calls.call_record import PersonMask
from collectors.calls.calls_config import CallsConfig
from collectors.calls.graph_client import GraphClient
from collectors.calls.graph_token import GraphToken
from collectors.calls.record_ends import ParseContext
from collectors.calls.record_parser import parse_record
from collectors.calls.stream_verdict import load_stream_rules
from collectors.estate import Estate, Site
from collectors.secret import Secret

TARGET_SHARE = 0.01
_RECORDS = 1500
_HOURS = 1
# After five hours whose calls are only listed.
_BEGIN_MS = BEGIN_MS + 5 * 3_600_000
_SITES = tuple(
    Site(id=f"site-{at}", name=str(at), subnets=(ip_network(f"10.150.{at}.0/24"),))
    for at in range(40)
)


def run(options: Sequence[str] = ()) -> dict[str, Any]:
    """Records per second, and the share of a core."""
    figures = {**_normalise(), **_hours()}
    for key, figure in figures.items():
        print(f"{key:<24} {figure:>12}")
    print(f"expected: day_share_of_core of {TARGET_SHARE:g} at most")
    return figures


def _normalise() -> dict[str, Any]:
    bodies = [json.dumps(made_record(at)).encode() for at in range(_RECORDS)]
    context = ParseContext(
        TENANT, load_stream_rules(), PersonMask(), CallLocator(_SITES)
    )
    began = time.process_time()
    for body in bodies:
        parse_record(body, context, Counter())
    spent_s = time.process_time() - began
    return {
        "records_per_s": round(_RECORDS / spent_s),
        "kb_per_record": round(sum(map(len, bodies)) / _RECORDS / 1000, 1),
    }


@contextlib.contextmanager
def _served(folder: Path) -> Iterator[CallsConfig]:
    command = [sys.executable, "-m", "benchmarks.graph_day", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        (folder / "secret").write_text(SECRET)
        yield CallsConfig(
            enabled=True,
            tenant=TENANT,
            client_id=CLIENT,
            secret=Secret(file=folder / "secret"),
            graph_url=told["url"],
            sign_in_url=told["url"],
            ca_file=Path(told["ca"]),
        )
        server.terminate()


def _hours() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name, _served(Path(name)) as config:
        state = Path(name) / "calls.json"
        state.write_text(json.dumps({"written_ms": _BEGIN_MS}))
        return asyncio.run(_rounds(config, state))


async def _rounds(config: CallsConfig, state: Path) -> dict[str, Any]:
    """Rounds every quarter of an hour."""
    now_ms = _BEGIN_MS + config.settle_s * 1000
    graph = GraphClient(config, GraphToken(config))
    append = ListAppend()
    locator = CallLocator(_SITES)
    collector = CallCollector(
        config,
        lambda: Estate(sites=_SITES),
        lambda: locator,
        append,
        state,
        10,
        lambda: now_ms,
        graph,
    )
    collector._written_ms = _BEGIN_MS
    began = time.process_time()
    for _ in range(_HOURS * 4):
        now_ms += 900_000
        async with graph as client:
            await collector.read_round(client)
    spent_s = time.process_time() - began
    [sample] = collector.samples("calls", now_ms)
    records = int(sample.fields["records"])
    return {
        "records_read": records,
        "rows": sum(map(len, append.batches)),
        "ms_per_record": round(1000 * spent_s / max(records, 1), 2),
        "busy_hour_share_of_core": round(spent_s / (_HOURS * 3600), 4),
        # Of the day's ten working hours; at night nothing but short lists is read.
        "day_share_of_core": round(spent_s / _HOURS * 10 / 86_400, 4),
    }


if __name__ == "__main__":
    run()

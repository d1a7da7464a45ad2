"""What one laptop may put into tags, and what its largest bodies may cost."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from append_doubles import ListAppend
from hypothesis import given
from ingest_council import body, door, enrol, report, wall_ms

from collectors.estate.estate_model import Estate, Reflector, Site
from collectors.ingest.ingest_config import IngestConfig, PolicyConfig
from collectors.ingest.intake import ReportIntake
from collectors.ingest.registry_records import EnrolledAgent
from collectors.ingest.report_rows import to_rows
from collectors.ingest.tag_limits import OTHER, TagLimits, allowed_targets
from collectors.server_measurements import CATALOGUE
from probes.wire import catalogue
from probes.wire.failure import Outcome
from probes.wire.measurements import MEASUREMENTS
from probes.wire.report import MAX_BODY_BYTES, Report, Result, Whereabouts
from probes.wire.sample import Sample

NOW_MS = 1_790_000_000_000
ESTATE = Estate(
    sites=tuple(Site(id=f"site-{n}", name=f"Site {n}") for n in range(60)),
    reflectors=(Reflector(id="hq", host="hq.example"),),
)
POLICY = PolicyConfig.model_validate(
    {
        "services": [{"name": "payroll", "url": "https://payroll.example/"}],
        "online_checks": [{"name": "sign-in", "url": "http://check.example/"}],
        "names": ["payroll.example"],
    }
)


def bounds() -> TagLimits:
    return TagLimits(lambda: ESTATE, lambda: POLICY, CATALOGUE)


def sample(measurement: str, target: str = "", **fields: str) -> Sample:
    return Sample(measurement, {"agent": "a", "target": target}, fields, NOW_MS)


@pytest.mark.parametrize(
    ("measurement", "target", "kept"),
    [
        ("call_path", "hq", "hq"),
        ("call_path", "payroll", OTHER),
        ("bandwidth", "hq", "hq"),
        ("path", "evil", OTHER),
        ("web", "payroll", "payroll"),
        ("web", "Microsoft Teams", "Microsoft Teams"),
        ("web", "sign-in", "sign-in"),
        ("web", "hq", OTHER),
        ("name_lookup", "payroll.example", "payroll.example"),
        ("name_lookup", "my-bank.example", OTHER),
        ("teams_relay", "teams", "teams"),
        ("wifi", "", ""),
        ("wifi", "home network", OTHER),
        ("smell", "roses", OTHER),
    ],
)
def test_a_laptop_names_only_what_its_policy_has(
    measurement: str, target: str, kept: str
) -> None:
    assert bounds().limit_sample(sample(measurement, target)).tags["target"] == kept


def test_a_text_that_becomes_a_group_is_one_of_a_closed_list() -> None:
    limits = bounds()
    for product, kept in [("WireGuard", "WireGuard"), ("My own VPN", OTHER)]:
        assert (
            limits.limit_sample(sample("vpn", product=product)).fields["product"]
            == kept
        )
    assert limits.limit_sample(sample("name_lookup", resolver="10.1.2.3")).fields == {
        "resolver": OTHER
    }
    every = {f"{m.name}.{f.name}" for m in MEASUREMENTS for f in m.fields if f.among}
    assert every >= {"vpn.product", "web.proxy", "path.method"}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([m.name for m in MEASUREMENTS]),
            st.text(max_size=12),
            st.sampled_from(["office", "home", "elsewhere", "unknown"]),
            st.integers(0, 80).map(lambda n: f"site-{n}"),
            st.sampled_from(["wired", "wifi", "mobile", "unknown"]),
            st.sampled_from(["up", "down", "absent", "unknown"]),
        ),
        max_size=150,
    )
)
def test_one_laptop_makes_few_series_in_a_day_whatever_it_sends(
    said: list[tuple[str, str, Any, str, Any, Any]],
) -> None:
    limits = bounds()
    series: dict[str, set[tuple[tuple[str, str], ...]]] = {}
    for measurement, target, place, site, connection, vpn in said:
        made = Report(
            1,
            "r",
            "a",
            NOW_MS,
            "x",
            Whereabouts(place, site, connection, vpn),
            (Result(measurement, 1, NOW_MS, Outcome.OK, target),),
        )
        limited = limits.limit_whereabouts(made, NOW_MS)
        rows_made = to_rows(
            [limited],
            "home",
            "isp",
            {site.id for site in ESTATE.sites}.__contains__,
            CATALOGUE,
            NOW_MS,
            limits.limit_sample,
        )
        for batch in rows_made.batches:
            for sample in batch.samples():
                tags = tuple(sorted(sample.tags.items()))
                series.setdefault(batch.measurement, set()).add(tags)
    allowed = allowed_targets(ESTATE, POLICY)
    for measurement, tags in series.items():
        # The policy's, `other` and none; 32 whereabouts and nowhere.
        assert len(tags) <= (len(allowed.get(measurement, ())) + 2) * 33


def test_whereabouts_beyond_a_days_share_are_left_out_and_counted() -> None:
    limits = bounds()

    def at(number: int, now_ms: int) -> str:
        made = report("a", "r", whereabouts=Whereabouts("office", f"site-{number}"))
        return limits.limit_whereabouts(made, now_ms).whereabouts.site

    assert [at(n, NOW_MS) for n in range(32)] == [f"site-{n}" for n in range(32)]
    assert at(40, NOW_MS) == ""
    assert at(3, NOW_MS) == "site-3"
    assert limits.other_whereabouts == 1
    assert at(40, NOW_MS + 86_400_000) == "site-40"


def body_of(results: list[str]) -> bytes:
    """As many reports of these results as one body holds."""
    now_ms = wall_ms()
    head = (
        '{"version":1,"id":"r%d","agent":"a","sent_ms":%d,"software":"",'
        '"whereabouts":{},"results":[%s]}'
    )
    parts: list[str] = []
    size = 2
    for number in range(500):
        parts.append(head % (number, now_ms, ",".join(results)))
        size += len(parts[-1]) + 1
        if size > MAX_BODY_BYTES:
            parts.pop()
            break
    return f"[{','.join(parts)}]".encode()


def result(probe: str, values: dict[str, Any] | None = None) -> str:
    return json.dumps(
        {
            "probe": probe,
            "version": 1,
            "time_ms": wall_ms(),
            "outcome": "ok",
            "values": values or {},
        }
    )


COSTLY = {
    "a new measurement in each row": [result(f"call_paths_{n}") for n in range(200)],
    "a new field in each row": [
        result("call_path", {f"rtt_mss_{n}": 1}) for n in range(200)
    ],
    "many new fields": [
        result("call_path", {f"rtt_mss_{n}": 1 for n in range(64)}) for _ in range(200)
    ],
    "a wrong type in each row": [result("call_path", {"rtt_ms": "x"})] * 200,
    "the least rows": [result("call_path")] * 200,
}


@pytest.mark.parametrize("name", COSTLY)
async def test_a_costly_body_is_handled_a_little_at_a_time_and_guesses_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guesses = 0

    def guess(*_: object) -> str:
        nonlocal guesses
        guesses += 1
        return ""

    monkeypatch.setattr(catalogue, "did_you_mean", guess)
    intake = ReportIntake(
        IngestConfig(aside=tmp_path), ListAppend(), estate=lambda: ESTATE
    )
    content = body_of(COSTLY[name])
    count = len(msgspec.json.decode(content))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    receipt = await intake.accept(content, EnrolledAgent("a", "", 0, 0, 0), "isp", "a")
    waiting.cancel()
    assert len(receipt.accepted) == count
    # Once for every 65,536 bytes that are read, and for every 8,000 values.
    read = min(len(content) // 100_000, count - 1)
    assert turns >= read + count * 200 // 2_400
    # A guess at what was meant takes a thousand times as long as not finding it.
    assert guesses <= 20


async def test_what_is_other_is_counted(tmp_path: Path) -> None:
    async with door(tmp_path, estate=lambda: ESTATE) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        made = report(laptop.agent, "r1")
        assert (await council.send(laptop, body(made))).status_code == 200
        # Its name lookup names no host of the policy.
        assert council.ingest.stats.other_targets == 1
    assert [batch.tag("target") for batch in council.append.batches] == [
        ["hq"],
        [OTHER],
    ]

"""Whatever comes from the network becomes reports, refusals or one sentence."""

from __future__ import annotations

import contextlib
import gzip
import json
import math
import random
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_council import body, door, enrol, receipt, report

from collectors.batch import check_batch
from collectors.estate.estate_model import Estate, Reflector, Site
from collectors.ingest.body_quarantine import BodyQuarantine
from collectors.ingest.gzip_body import GZIP_MAGIC, MAX_MEMBERS, unpack
from collectors.ingest.ingest_config import PolicyConfig, ServiceConfig
from collectors.ingest.laptop_limits import RecentReportIds
from collectors.ingest.policies import agent_policy
from collectors.ingest.providers import Providers, ProvidersRefused
from collectors.ingest.rejection_reasons import BodyRejected, RejectionReason
from collectors.ingest.report_body import RejectedReport, read_report, split_body
from collectors.ingest.report_rows import to_rows
from collectors.server_measurements import CATALOGUE
from collectors.token_buckets import TokenBuckets
from probes.wire.path_probes import BANDWIDTH, CALL_PATH
from probes.wire.policy import decode
from probes.wire.report import MAX_BODY_BYTES, Report
from probes.wire.service_probes import WEB

NOW_MS = 1_790_000_000_000
_numbers = st.floats(allow_nan=False, allow_infinity=False)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | _numbers | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)
_good = msgspec.to_builtins(report("agent-1", "r1", time_ms=NOW_MS))


def taken(content: bytes) -> list[Report | RejectedReport]:
    return [read_report(raw, "agent-1") for raw in split_body(content)]


@given(st.binary(max_size=2000))
def test_any_bytes_are_refused_in_one_sentence(content: bytes) -> None:
    try:
        whys = [
            report.why
            for report in taken(content)
            if isinstance(report, RejectedReport)
        ]
    except BodyRejected as refused:
        whys = [str(refused)]
    for why in whys:
        assert 0 < len(why) < 400
        assert "\n" not in why


@given(st.binary(max_size=500), st.integers(0, 400), st.integers(0, 255))
def test_any_bytes_as_gzip_are_bounded(content: bytes, at: int, value: int) -> None:
    packed = bytearray(gzip.compress(content))
    assert unpack(bytes(packed)) == content
    packed[at % len(packed)] = value
    for mangled in (bytes(packed), content, bytes(packed[: at % len(packed)])):
        with contextlib.suppress(BodyRejected):
            assert len(unpack(mangled, 300)) <= 300


class Counting:
    """zlib's decompressor, with what it was given and what it gave."""

    made = fed = given = 0

    def __init__(self) -> None:
        Counting.made += 1
        self._stream = zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        Counting.fed += len(data)
        content = self._stream.decompress(data, max_length)
        Counting.given += len(content)
        return content


EMPTY = gzip.compress(b"", mtime=0)


@pytest.mark.parametrize(
    "body",
    [
        EMPTY * (MAX_BODY_BYTES // len(EMPTY)),
        EMPTY * (MAX_MEMBERS - 1) + gzip.compress(random.Random(1).randbytes(990_000)),
        gzip.compress(random.Random(2).randbytes(20)) * 20_000,
        gzip.compress(bytes(60_000_000)),
        gzip.compress(random.Random(3).randbytes(1_000_000))[:-9],
        EMPTY[:-1] * 50_000,
        GZIP_MAGIC * 500_000,
    ],
    ids=[
        "empty members",
        "few members and a large one",
        "small members",
        "a bomb",
        "a cut one",
        "cut members",
        "only magic",
    ],
)
def test_unpacking_costs_no_more_than_the_body_is_long(body: bytes) -> None:
    Counting.made = Counting.fed = Counting.given = 0
    with contextlib.suppress(BodyRejected):
        unpack(body, MAX_BODY_BYTES, Counting)
    assert Counting.made <= MAX_MEMBERS
    # Each member may have some bytes of the next one handed back, and fed again.
    assert Counting.fed <= len(body) + MAX_MEMBERS * 16_384
    assert Counting.given <= MAX_BODY_BYTES + 1


@given(st.lists(st.binary(max_size=40_000), min_size=1, max_size=MAX_MEMBERS))
def test_several_members_are_one_body(parts: list[bytes]) -> None:
    assert unpack(b"".join(map(gzip.compress, parts))) == b"".join(parts)


def test_a_body_of_alike_reports_is_unpacked_and_a_far_more_packed_one_is_not() -> None:
    alike = body(*(report("agent-1", f"r{n}", time_ms=NOW_MS - n) for n in range(500)))
    assert unpack(gzip.compress(alike, 9)) == alike
    with pytest.raises(BodyRejected, match="times its size") as refused:
        unpack(gzip.compress(bytes(900_000), 9))
    assert refused.value.reason is RejectionReason.TOO_LARGE


@given(st.lists(_json, max_size=5))
def test_any_json_among_good_reports_hurts_none_of_them(odd: list[Any]) -> None:
    mixed = [_good, *odd, {**_good, "id": "r2"}]
    content = json.dumps(mixed, allow_nan=False, default=str, skipkeys=True)
    reports = taken(content.encode())
    assert len(reports) == len(mixed)
    assert [result.id for result in reports if isinstance(result, Report)] == [
        "r1",
        "r2",
    ]


@given(st.data())
def test_a_good_report_with_one_thing_changed_is_taken_or_refused_by_name(
    data: st.DataObject,
) -> None:
    changed = json.loads(json.dumps(_good))
    target: Any = changed
    while True:
        keys = list(target) if isinstance(target, dict) else list(range(len(target)))
        key = data.draw(st.sampled_from(keys))
        deeper = target[key]
        if isinstance(deeper, dict | list) and deeper and data.draw(st.booleans()):
            target = deeper
            continue
        target[key] = data.draw(_json)
        break
    try:
        content = json.dumps([changed], allow_nan=False).encode()
    except ValueError:
        return
    (found,) = taken(content)
    if isinstance(found, RejectedReport):
        assert 0 < len(found.why) <= 200
        assert found.refusal().why.startswith(found.reason)
        return
    made = to_rows([found], "hq", "isp", lambda site: True, CATALOGUE, NOW_MS)
    for batch in made.batches:
        assert check_batch(batch, CATALOGUE) is batch
    in_all = sum(map(len, made.batches)) + made.misfit_rows() + made.expired
    assert in_all == len(found.results)


@pytest.mark.parametrize("text", ["a\nb", "a\x00b", "\u202etext", "x" * 300])
def test_texts_that_could_confuse_a_reader_are_refused(text: str) -> None:
    for change in (
        {"software": text},
        {"whereabouts": {**_good["whereabouts"], "site": text}},
        {"results": [{**_good["results"][0], "target": text}]},
        {"results": [{**_good["results"][0], "values": {"product": text}}]},
    ):
        (found,) = taken(json.dumps([{**_good, **change}]).encode())
        assert isinstance(found, RejectedReport), change


async def test_mutated_reports_over_the_wire_never_make_a_server_error(
    tmp_path: Path,
) -> None:
    dice = random.Random(20)
    limits = {"reports_burst": 1_000_000, "requests_burst": 1_000}
    async with door(tmp_path, limits=limits) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        good = body(*(report(laptop.agent, f"r{n}") for n in range(3)))
        seen = set()
        for _ in range(300):
            content = bytearray(good)
            for _ in range(dice.randint(1, 6)):
                at = dice.randrange(len(content))
                what = dice.randrange(3)
                if what == 0:
                    content[at] = dice.randrange(256)
                elif what == 1:
                    del content[at : at + dice.randint(1, 30)]
                else:
                    content[at:at] = content[: dice.randint(1, 30)]
            headers = {"content_encoding": "gzip"} if dice.random() < 0.2 else {}
            answer = await council.send(laptop, bytes(content), **headers)
            seen.add(answer.status_code)
            assert answer.status_code in {200, 400, 413}, answer.text
        assert seen >= {200, 400}
        last = await council.send(laptop, body(report(laptop.agent, "last")))
        assert receipt(last).accepted == ("last",)
        assert not receipt(last).refused
    assert len(list((tmp_path / "aside").iterdir())) <= 200


@pytest.mark.parametrize("number", ["null", "1e999", "-1e999"])
def test_a_value_that_is_no_number_costs_that_value_alone(number: str) -> None:
    odd = json.dumps(with_values({"rtt_ms": "ODD", "loss_ratio": 0.5}))
    content = f"[{odd}]".replace('"ODD"', number).encode()
    (found,) = taken(content)
    assert isinstance(found, Report)
    assert found.results[0].values == {"loss_ratio": 0.5}


@given(st.floats())
def test_a_laptop_that_measures_nan_reports_the_rest(value: float) -> None:
    whole = msgspec.convert(with_values({"loss_ratio": 0.5}), Report)
    (first,) = whole.results
    odd = msgspec.structs.replace(first, values={**first.values, "rtt_ms": value})
    sent = msgspec.json.encode([msgspec.structs.replace(whole, results=(odd,))])
    (found,) = taken(sent)
    assert isinstance(found, Report)
    wanted = {"loss_ratio": 0.5} | ({"rtt_ms": value} if math.isfinite(value) else {})
    assert found.results[0].values == wanted


def with_values(values: dict[str, Any]) -> dict[str, Any]:
    (first, *_) = _good["results"]
    return {**_good, "results": [{**first, "values": values}]}


def test_what_is_kept_aside_is_bounded_and_for_its_owner(tmp_path: Path) -> None:
    folder = tmp_path / "aside"
    aside = BodyQuarantine(folder, 10)
    for second in range(5):
        for n in range(40):
            aside.put(b"%d" % n + b"x" * 100_000, "unreadable", NOW_MS + second * 1000)
    kept = sorted(folder.iterdir())
    assert len(kept) == 10
    assert all(path.stat().st_size == 64_000 for path in kept)
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept)
    aside.put(b"new", "malformed", NOW_MS + 5000)
    assert (sorted(folder.iterdir())[-1].read_bytes(), len(kept)) == (b"new", 10)


def test_a_folder_that_cannot_be_written_stops_no_report(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    BodyQuarantine(tmp_path / "file" / "aside", 10).put(b"x", "unreadable", NOW_MS)


@given(st.lists(st.tuples(st.integers(1, 20), st.floats(0, 30)), max_size=60))
def test_no_agent_gets_more_than_its_burst_and_its_rate(
    wishes: list[tuple[int, float]],
) -> None:
    allowance, now_s, given_out = TokenBuckets(2, 30), 100.0, 0
    for count, wait_s in wishes:
        now_s += wait_s
        asked_s = allowance.take("a", count, now_s)
        if asked_s == 0:
            given_out += count
        else:
            assert allowance.take("a", count, now_s + asked_s) == 0 or count > 30
            now_s += asked_s
            given_out += count
        assert given_out <= 30 + 2 * (now_s - 100.0) + 1e-6


@given(st.lists(st.integers(0, 200)), st.integers(2, 50))
def test_ids_are_remembered_within_a_bound(ids: list[int], limit: int) -> None:
    remembered = RecentReportIds(limit)
    for number, id in enumerate(ids):
        remembered.add("a", str(id))
        assert len(remembered) <= limit
        recent = ids[max(0, number - limit // 2 + 1) : number + 1]
        assert all(("a", str(report_id)) in remembered for report_id in recent)


def test_the_longest_prefix_names_the_provider(tmp_path: Path) -> None:
    table = tmp_path / "providers.csv"
    table.write_text(
        "prefix,provider\n# a comment\n\n"
        "192.0.2.0/24,Example Telecom\n192.0.2.128/25,Example Mobile\n"
        "2001:db8::/32,Example Six\n"
    )
    providers = Providers.read(table)
    assert providers.look_up("192.0.2.5") == "Example Telecom"
    assert providers.look_up("192.0.2.200") == "Example Mobile"
    assert providers.look_up("::ffff:192.0.2.200") == "Example Mobile"
    assert providers.look_up("2001:db8:1::9") == "Example Six"
    assert providers.look_up("203.0.113.1") == "unknown"
    assert providers.look_up("not an address") == "unknown"
    table.write_text("192.0.2.1/24,Host bits\n10.0.0.0/8\n")
    with pytest.raises(ProvidersRefused, match=r"csv:1.*csv:2"):
        Providers.read(table)


def test_a_cadence_for_no_probe_is_refused_with_what_was_meant() -> None:
    with pytest.raises(ValueError, match="did you mean 'call_path'"):
        PolicyConfig(cadence_s={"callpath": 300})


def test_the_policy_comes_from_the_estate_with_the_nearest_reflector_first() -> None:
    estate = Estate(
        sites=(Site(id="hq", name="HQ"), Site(id="dc", name="Data centre")),
        reflectors=(
            Reflector(id="far", host="far.example", site="hq"),
            Reflector(id="near", host="near.example", stamp_port=8620, site="dc"),
        ),
    )
    config = PolicyConfig(
        services=(ServiceConfig(name="mail", url="https://mail.example/"),),
        cadence_s={"call_path": 300},
        metered_cadence_s={"call_path": 3600, "bandwidth": 0},
    )
    policy = agent_policy(estate, config, "dc")
    assert [reflector.id for reflector in policy.reflectors] == ["near", "far"]
    assert decode(msgspec.json.encode(policy)) == policy
    assert CALL_PATH.cadence_s(policy, False) == 300
    assert CALL_PATH.cadence_s(policy, True) == 3600
    assert WEB.cadence_s(policy, True) == 3600
    assert BANDWIDTH.cadence_s(policy, True) == 0
    assert decode(b'{"a later field": 1}').report_s == 300

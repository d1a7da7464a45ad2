"""Whether a live stream advances, from the manifests of a real web server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from faulty_http import FaultyServer, Request
from hypothesis import given
from hypothesis import strategies as st

from alerts.live_events.stream_manifest import (
    ManifestUnusable,
    StreamManifest,
    parse_manifest,
)
from alerts.live_events.stream_watch import StreamNow, StreamWatch, next_state
from collectors.estate.estate_model import Room

URL = "https://cdn.example/live/master.m3u8"
MASTER = """#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=1280000,CODECS="avc1.4d401f,mp4a.40.2"
720p/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=640000
360p/index.m3u8
"""
VOD = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\na.ts\n#EXT-X-ENDLIST\n"


def hls(sequence: int, segment_s: int = 6) -> str:
    segments = "".join(
        f"#EXTINF:{segment_s},\nseg-{sequence + n}.ts\n" for n in range(3)
    )
    return (
        f"#EXTM3U\r\n#EXT-X-TARGETDURATION:{segment_s}\r\n"
        f"#EXT-X-MEDIA-SEQUENCE:{sequence}\r\n{segments}"
    )


def dash(repeats: int, kind: str = "dynamic", timeline: bool = True) -> str:
    listed = f'<S t="180000" d="360000" r="{repeats}"/><S d="180000"/>'
    shown = f"<SegmentTimeline>{listed}</SegmentTimeline>" if timeline else ""
    return (
        f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
        f'type="{kind}"><Period id="1"><AdaptationSet mimeType="video/mp4">'
        f'<SegmentTemplate timescale="90000" media="$Time$.m4s">{shown}'
        "</SegmentTemplate></AdaptationSet></Period></MPD>"
    )


def test_the_newest_segment_of_a_manifest_is_its_position() -> None:
    read = [parse_manifest(hls(n).encode(), URL) for n in (100, 101)]
    assert [m.position for m in read] == ["103 seg-102.ts", "104 seg-103.ts"]
    assert (read[0].segment_s, read[0].ended) == (6, False)
    assert parse_manifest(VOD.encode(), URL).ended
    older, newer = (parse_manifest(dash(n).encode(), URL) for n in (2, 3))
    assert (older.position, newer.position) == ("0 1440000", "0 1800000")
    assert (older.segment_s, older.ended) == (4, False)
    assert parse_manifest(dash(2, "static").encode(), URL).ended
    variant = parse_manifest(MASTER.encode(), URL).variant
    assert variant == "https://cdn.example/live/720p/index.m3u8"


def test_a_stream_that_its_maker_ended_stands_still_but_has_not_failed() -> None:
    _, state = next_state(None, parse_manifest(VOD.encode(), URL), 0)
    assert (state.state, state.text) == ("still", "its manifest says that it has ended")
    assert state.fields()["stream_up"] is None
    ups = [StreamNow(s).fields()["stream_up"] for s in ("absent", "still", "advancing")]
    assert ups == [0, 0, 1]


def test_the_parts_of_a_low_latency_stream_count_too() -> None:
    part = hls(100) + '#EXT-X-PART:DURATION=0.3,URI="p1.m4s"\n'
    whole = parse_manifest(hls(100).encode(), URL).position
    assert parse_manifest(part.encode(), URL).position != whole


@pytest.mark.parametrize(
    ("body", "state"),
    [
        (b"<html><body>Sign in</body></html>", "absent"),
        (b"", "absent"),
        (b"<MPD", "absent"),
        (b'<!DOCTYPE x [<!ENTITY a "aaaa">]><MPD/>', "absent"),
        (("<!DOCTYPE x>" + dash(0)[21:]).encode("utf-16-le"), "absent"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:6\n", "still"),
        (dash(0, timeline=False).encode(), "unmeasured"),
    ],
)
def test_a_text_without_segments_says_what_it_shows_of_the_stream(
    body: bytes, state: str
) -> None:
    with pytest.raises(ManifestUnusable) as caught:
        parse_manifest(body, URL)
    assert caught.value.state == state


@given(st.binary(max_size=200), st.sampled_from([b"", b"#EXTM3U\n", b"<MPD>", b"<"]))
def test_no_manifest_breaks_the_reader(noise: bytes, begin: bytes) -> None:
    with contextlib.suppress(ManifestUnusable):
        parse_manifest(begin + noise, URL)


def look_again(*looks: tuple[float, str]) -> list[StreamNow]:
    """The state after each look: (seconds, position)."""
    seen, states = None, []
    for at_s, position in looks:
        manifest = StreamManifest(position, 6.0)
        seen, state = next_state(seen, manifest, round(at_s * 1000))
        states.append(state)
    return states


def test_a_stream_that_has_advanced_stands_still_after_three_segments() -> None:
    states = look_again((0, "a"), (15, "b"), (30, "b"), (36, "b"), (60, "c"))
    assert [s.state for s in states] == [
        "unmeasured",
        "advancing",
        "advancing",
        "still",
        "advancing",
    ]
    assert states[3] == StreamNow("still", "no new segment for 21 s", 21.0)
    # One that never advanced does not become well by itself.
    assert [s.state for s in look_again((0, "a"), (30, "a"))] == ["unmeasured", "still"]
    # A clock that is set back invents no age.
    assert look_again((900, "a"), (0, "a"), (30, "b"))[1].state == "unmeasured"


@contextmanager
def streams(files: dict[str, str]) -> Iterator[tuple[FaultyServer, Room]]:
    def app(request: Request) -> tuple[int, str | None]:
        text = files.get(request.path)
        return (404, None) if text is None else (200, text)

    with FaultyServer(app) as server:
        yield (
            server,
            Room(
                id="chamber",
                site="hall",
                devices=("enc",),
                stream_url=f"{server.url}/live/master.m3u8",
            ),
        )


def test_a_streams_variant_is_followed_and_each_of_four_states_is_told_apart() -> None:
    files = {"/live/master.m3u8": MASTER}
    now_ms = 0

    async def looks(server: FaultyServer, room: Room) -> list[StreamNow]:
        nonlocal now_ms
        watch, states = StreamWatch(lambda: now_ms, timeout_s=20.0), []

        async def look(at_s: int, text: str | None) -> None:
            nonlocal now_ms
            now_ms = at_s * 1000
            files.pop("/live/720p/index.m3u8", None)
            if text is not None:
                files["/live/720p/index.m3u8"] = text
            await watch.look([room])
            state = watch.now("chamber")
            assert state is not None
            states.append(state)

        await look(0, hls(7))
        await look(15, hls(9))
        await look(60, hls(9))
        await look(75, None)
        await look(90, hls(20))
        server.fault = 503
        await look(105, hls(21))
        await watch.look([])
        assert watch.now("chamber") is None
        return states

    with streams(files) as (server, room):
        states = asyncio.run(looks(server, room))
        where = server.url
    assert [(s.state, s.text) for s in states] == [
        ("unmeasured", "its manifest was seen only once so far"),
        ("advancing", ""),
        ("still", "no new segment for 45 s"),
        ("absent", f"{where}: answered 404"),
        ("advancing", ""),
        ("absent", f"{where}: answered 503"),
    ]


def test_a_manifest_leads_to_no_other_host_without_tls_and_never_in_a_circle() -> None:
    for text, why in (
        ("#EXTM3U\n#EXT-X-STREAM-INF:X\nhttp://10.0.0.1/secret\n", "without https"),
        ("#EXTM3U\n#EXT-X-STREAM-INF:X\nfile:///etc/passwd\n", "without https"),
        ("#EXTM3U\n#EXT-X-STREAM-INF:X\nmaster.m3u8\n", "list no segments"),
        ("#EXTM3U\n#EXT-X-STREAM-INF:X\nhttp://[::1\n", "damaged address"),
    ):
        with streams({"/live/master.m3u8": text}) as (server, room):
            watch = StreamWatch(lambda: 0, timeout_s=20.0)
            asyncio.run(watch.look([room]))
            state = watch.now("chamber")
            assert state is not None
            assert (state.state, why in state.text) == ("absent", True), state.text
            assert {request.path for request in server.requests} == {
                "/live/master.m3u8"
            }


def test_a_manifest_of_the_internet_leads_to_no_internal_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "#EXTM3U\n#EXT-X-STREAM-INF:X\nhttps://127.0.0.1:8086/secret\n"
    with streams({"/live/master.m3u8": text}) as (server, room):
        # As a proxy it answers for every host.
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.delenv("no_proxy", raising=False)
        url = "http://8.8.8.8/live/master.m3u8"
        watch = StreamWatch(lambda: 0, timeout_s=20.0)
        asyncio.run(watch.look([room.model_copy(update={"stream_url": url})]))
    assert watch.now("chamber") == StreamNow(
        "absent",
        "http://8.8.8.8: sends from the internet to an internal address, "
        "which is refused",
    )


def test_a_stream_that_names_no_real_port_takes_no_other_ones_state() -> None:
    text = "#EXTM3U\n#EXT-X-STREAM-INF:X\nhttps://localhost:99999/a\n"
    with streams({"/bad": text, "/live/master.m3u8": hls(1)}) as (server, room):
        bad = {"id": "annexe", "stream_url": f"{server.url}/bad"}
        watch = StreamWatch(lambda: 0, timeout_s=20.0)
        asyncio.run(watch.look([room, room.model_copy(update=bad)]))
    states = [watch.now(id) for id in ("chamber", "annexe")]
    assert [s and s.state for s in states] == ["unmeasured", "absent"]


def test_another_stream_of_a_room_is_no_new_segment() -> None:
    files = {"/live/master.m3u8": hls(1), "/new": hls(50)}
    with streams(files) as (server, room):
        watch = StreamWatch(lambda: 0, timeout_s=20.0)
        for url in (room.stream_url, f"{server.url}/new"):
            asyncio.run(watch.look([room.model_copy(update={"stream_url": url})]))
    state = watch.now("chamber")
    assert state is not None
    assert state.state == "unmeasured"


def test_a_look_that_fails_leaves_no_old_state() -> None:
    times_ms = iter([0])
    with streams({"/live/master.m3u8": hls(1)}) as (_, room):
        watch = StreamWatch(lambda: next(times_ms), timeout_s=20.0)
        asyncio.run(watch.look([room]))
        assert watch.now("chamber") is not None
        with pytest.raises(RuntimeError):
            asyncio.run(watch.look([room]))
    assert watch.now("chamber") is None

"""The live stream of the demo, as Towpath looks at it."""

from __future__ import annotations

import services

from alerts.live_events.stream_watch import StreamWatch
from collectors.estate.estate_model import Room
from towpath.demo.live_stream import PATH, LiveStream


async def test_the_demos_stream_advances_until_it_is_frozen() -> None:
    port, now_s = services.free_port(), 1_000_000.0
    url = f"http://127.0.0.1:{port}{PATH}"
    room = Room(id="chamber", site="hall", ports=("sw-1 1",), stream_url=url)
    watch = StreamWatch(lambda: int(now_s * 1000))
    states = []
    async with LiveStream(port, lambda: now_s) as stream:
        for doing in ("", "", "POST /freeze", "", "POST /resume"):
            if doing:
                stream.answer(*doing.split(" "))
            await watch.look([room])
            seen = watch.now(room.id)
            states.append(seen and seen.state)
            now_s += 30
    await watch.look([room])
    seen = watch.now(room.id)
    states.append(seen and seen.state)
    assert states == [
        "unmeasured",
        "advancing",
        "advancing",
        "still",
        "advancing",
        "absent",
    ]

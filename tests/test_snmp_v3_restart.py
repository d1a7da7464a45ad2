"""A real snmpd under v3 that starts again: two polls later, all is as before."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import services
from polled_switches import estate, polling
from waiting import until

from collectors.estate import Device
from collectors.snmp import Credentials, SnmpConfig, credential
from collectors.snmp.session.session import Failed, RetryPolicy
from collectors.snmp.session.sessions import HAS_GUFO, Sessions

CONFIG = """createUser watcher SHA-256 authpassword AES privpassword
rouser watcher priv
"""
# The engine's id outlives even a lost disk, its boots do not: they go back.
PINNED = CONFIG + "exactEngineID 0x80001f8804746f7770617468\n"
USER = {
    "user": "watcher",
    "auth_password": "authpassword",
    "priv_password": "privpassword",
}
pytestmark = pytest.mark.service

UP_TIME = "1.3.6.1.2.1.1.3.0"
LIBRARIES = [
    pytest.param(
        True, id="gufo", marks=pytest.mark.skipif(not HAS_GUFO, reason="no wheel")
    ),
    pytest.param(False, id="python"),
]


@pytest.mark.parametrize(
    ("config", "forgets"),
    [
        pytest.param(CONFIG, False, id="boots kept"),
        pytest.param(CONFIG, True, id="another engine"),
        pytest.param(PINNED, True, id="same engine, boots lost"),
    ],
)
async def test_a_poller_goes_on_within_two_polls(
    tmp_path: Path, config: str, forgets: bool
) -> None:
    known = Credentials({"default": credential("default", USER)})
    settings = SnmpConfig(period_s=1.0, timeout_s=0.6, tries=2)
    server = services.snmpd(tmp_path / "agent", config)
    with services.running(server):
        held = Device(id="a", site="town-hall", address="127.0.0.1", port=server.port)  # type: ignore[arg-type]
        async with polling(estate(held), settings, known) as (sink, _):

            def outcomes() -> list[object]:
                return [row["outcome"] for row in sink.rows("device")]

            await until(lambda: len(outcomes()) >= 3, "polls")
            assert set(outcomes()) == {"ok"}
            server.stop()
            if forgets:
                shutil.rmtree(tmp_path / "agent" / "kept")
            server.start()
            polls = len(outcomes())
            await until(lambda: len(outcomes()) >= polls + 4, "polls")
    # One poll may have met it while it was away; of the rest one may fail.
    assert outcomes()[polls + 2 :] == ["ok"] * len(outcomes()[polls + 2 :])


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
@pytest.mark.parametrize("forgets", [False, True], ids=["boots kept", "boots lost"])
async def test_either_library_finds_its_way_back(
    tmp_path: Path, prefer_gufo: bool, forgets: bool
) -> None:
    server = services.snmpd(tmp_path / "agent", PINNED)
    with services.running(server):
        async with Sessions(prefer_gufo) as sessions:
            session = sessions.open(
                "127.0.0.1",
                server.port,
                credential("test", USER),
                RetryPolicy((1.0, 2.0)),
            )
            # Boots above one, so that losing them is a step back.
            for _ in range(2):
                server.stop()
                server.start()
            assert await session.get([UP_TIME])
            server.stop()
            if forgets:
                shutil.rmtree(tmp_path / "agent" / "kept")
            server.start()
            answers = []
            for _ in range(2):
                try:
                    answers.append(await session.get([UP_TIME]))
                except Failed as failed:
                    answers.append({"failed": failed.detail})
            session.close()
    assert UP_TIME in answers[-1], answers

"""Sessions against a real snmpd: both libraries, every version, every refusal."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import services

from collectors.snmp import Credential, credential
from collectors.snmp.polling.device_facts import poll_once
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.engine_discovery import agent_answers
from collectors.snmp.session.poll_budget import PollBudget
from collectors.snmp.session.session import Failed, RetryPolicy, Session
from collectors.snmp.session.sessions import HAS_GUFO, Sessions
from collectors.snmp.session.silent_agent import COMMUNITY_IGNORED
from probes.wire.failure import Outcome

pytestmark = pytest.mark.service

CONFIG = """rocommunity public 127.0.0.1
rocommunity6 public ::1
sysContact somebody
sysLocation "Town hall, cellar"
createUser good SHA-256 authpassword AES privpassword
createUser old MD5 authpassword DES privpassword
createUser plain SHA-512 authpassword
rouser good priv
rouser old priv
rouser plain auth
"""
CREDENTIALS = {
    "v1": {"version": "1", "community": "public"},
    "v2c": {"community": "public"},
    "v3": {
        "user": "good",
        "auth_password": "authpassword",
        "priv_password": "privpassword",
    },
    "v3 md5 des": {
        "user": "old",
        "auth": "md5",
        "auth_password": "authpassword",
        "priv": "des",
        "priv_password": "privpassword",
    },
    "v3 auth only": {
        "user": "plain",
        "auth": "sha512",
        "auth_password": "authpassword",
    },
}
REFUSED = {
    "community": ({"community": "wrong"}, Outcome.TIMEOUT),
    "user": (
        {**CREDENTIALS["v3"], "user": "nobody"},
        Outcome.AUTH_FAILED,
    ),
    "auth password": (
        {**CREDENTIALS["v3"], "auth_password": "wrongpassword"},
        Outcome.AUTH_FAILED,
    ),
    # Nothing is known about what cannot be decrypted.
    "priv password": (
        {**CREDENTIALS["v3"], "priv_password": "wrongpassword"},
        Outcome.TIMEOUT,
    ),
}
PATIENT = RetryPolicy((1.0, 4.0, 6.0))
HURRIED = RetryPolicy((0.3, 0.3))
LIBRARIES = [
    pytest.param(
        True, id="gufo", marks=pytest.mark.skipif(not HAS_GUFO, reason="no wheel")
    ),
    pytest.param(False, id="python"),
]


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[services.Server]:
    with services.running(
        services.snmpd(tmp_path_factory.mktemp("snmpd"), CONFIG)
    ) as server:
        yield server


def held(given: dict[str, str]) -> Credential:
    return credential("test", given)


async def everything(session: Session) -> tuple[dict[str, object], dict[str, object]]:
    snmp = DeviceSession(session, PollBudget(60))
    asked = ["1.3.6.1.2.1.1.2.0", "1.3.6.1.2.1.1.6.0", "1.3.6.1.2.1.1.99.0"]
    got = await snmp.get_all(asked)
    return dict(got), dict(await snmp.walk("1.3.6.1.2.1.1.9"))


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
@pytest.mark.parametrize("version", CREDENTIALS)
async def test_both_libraries_read_the_same_from_a_real_agent(
    agent: services.Server, version: str, prefer_gufo: bool
) -> None:
    async with Sessions(prefer_gufo) as sessions:
        session = sessions.open(
            "127.0.0.1", agent.port, held(CREDENTIALS[version]), PATIENT
        )
        got, table = await everything(session)
        session.close()
    assert got["1.3.6.1.2.1.1.2.0"] == "1.3.6.1.4.1.8072.3.2.10"
    assert got["1.3.6.1.2.1.1.6.0"] == b'"Town hall, cellar"'
    assert "1.3.6.1.2.1.1.99.0" not in got
    # sysORTable: OIDs, texts and times, a dozen rows of each.
    assert len(table) > 15
    assert len(table) % 3 == 0
    assert {type(value) for value in table.values()} == {str, bytes, int}


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
@pytest.mark.parametrize("version", CREDENTIALS)
async def test_a_float_of_a_real_agent_is_a_number(
    agent: services.Server, version: str, prefer_gufo: bool
) -> None:
    """UCD-SNMP-MIB laLoadFloat is an Opaque float, laLoad the same as a text."""
    text, real = "1.3.6.1.4.1.2021.10.1.3.1", "1.3.6.1.4.1.2021.10.1.6.1"
    async with Sessions(prefer_gufo) as sessions:
        session = sessions.open(
            "127.0.0.1", agent.port, held(CREDENTIALS[version]), PATIENT
        )
        # Later GETs may be made by another library than the first.
        for _ in range(3):
            answer = await session.get([text, real])
            load, load_text = answer[real], answer[text]
            assert isinstance(load, float)
            assert isinstance(load_text, bytes)
            assert abs(load - float(load_text)) < 0.011
        session.close()


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
@pytest.mark.parametrize("what", REFUSED)
async def test_a_wrong_credential_is_a_value_not_a_hang(
    agent: services.Server, what: str, prefer_gufo: bool
) -> None:
    given, outcome = REFUSED[what]
    async with Sessions(prefer_gufo) as sessions:
        session = sessions.open("127.0.0.1", agent.port, held(given), HURRIED)
        with pytest.raises(Failed) as caught:
            await session.get(["1.3.6.1.2.1.1.3.0"])
        session.close()
    assert caught.value.outcome is outcome
    # Agents lock users out: a password that never worked is not hammered.
    assert session.counts.packets <= 4


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"user": "nobody"}, "the device has no user 'nobody': create it there"),
        ({"auth_password": "wrongpassword"}, "the authentication password of user"),
        ({"auth": "sha512"}, "or the device does not use sha512"),
        # Net-SNMP does not answer what it cannot decrypt.
        ({"priv_password": "wrongpassword"}, "the privacy password of user 'good' is"),
        ({"context": "elsewhere"}, "the device has no context 'elsewhere'"),
        (
            {"priv": "none", "priv_password": ""},
            "lets user 'good' read nothing at security level authNoPriv",
        ),
        (
            {"user": "plain", "auth": "sha512"},
            "does not let user 'plain' use security level authPriv",
        ),
    ],
)
async def test_what_is_wrong_with_a_user_is_told_apart(
    agent: services.Server, wrong: dict[str, str], sentence: str
) -> None:
    given = {**CREDENTIALS["v3"], **wrong}
    facts = await poll_once("127.0.0.1", agent.port, held(given), retry_policy=HURRIED)
    assert facts.outcome is Outcome.AUTH_FAILED
    assert sentence in facts.detail


async def test_a_community_that_is_ignored_differs_from_no_agent(
    agent: services.Server,
) -> None:
    wrong = held({"community": "wrong"})
    facts = await poll_once("127.0.0.1", agent.port, wrong, retry_policy=HURRIED)
    assert (facts.outcome, facts.detail) == (Outcome.AUTH_FAILED, COMMUNITY_IGNORED)


async def test_a_closed_port_is_refused() -> None:
    port = services.free_port(services.socket.SOCK_DGRAM)
    async with Sessions() as sessions:
        session = sessions.open("127.0.0.1", port, held(CREDENTIALS["v2c"]), HURRIED)
        with pytest.raises(Failed) as caught:
            await session.get(["1.3.6.1.2.1.1.3.0"])
        session.close()
    assert caught.value.outcome is Outcome.REFUSED


@pytest.mark.skipif(not HAS_GUFO, reason="no wheel")
async def test_v3_goes_on_after_the_agent_has_restarted(tmp_path: Path) -> None:
    """Whether the agent keeps its engine (boots + 1) or comes up with another one."""
    with services.running(services.snmpd(tmp_path / "agent", CONFIG)) as server:
        async with Sessions() as sessions:
            session = sessions.open(
                "127.0.0.1", server.port, held(CREDENTIALS["v3"]), PATIENT
            )
            assert await session.get(["1.3.6.1.2.1.1.3.0"])
            server.stop()
            server.start()
            assert await session.get(["1.3.6.1.2.1.1.3.0"])
            server.stop()
            first = session.get_engine_id()
            shutil.rmtree(tmp_path / "agent" / "kept")
            server.start()
            assert await session.get(["1.3.6.1.2.1.1.3.0"])
            assert session.get_engine_id() != first
            session.close()


async def test_an_agent_that_refuses_the_community_differs_from_no_agent(
    agent: services.Server,
) -> None:
    assert await agent_answers("127.0.0.1", agent.port, 5.0)
    free = services.free_port(services.socket.SOCK_DGRAM)
    assert not await agent_answers("127.0.0.1", free, 0.2)


@pytest.mark.skipif(not HAS_GUFO, reason="no wheel")
async def test_a_context_is_left_to_the_library_that_can_name_one(
    agent: services.Server,
) -> None:
    given = {**CREDENTIALS["v3"], "context": ""}
    async with Sessions() as sessions:
        plain = sessions.open("127.0.0.1", agent.port, held(given), HURRIED)
        named = sessions.open(
            "127.0.0.1", agent.port, held({**given, "context": "vlan-7"}), HURRIED
        )
        assert type(plain).__name__ == "GufoSession"
        assert type(named).__name__ == "UdpSession"

"""The connection to NATS: kept up for ever, and what is wrong in one sentence."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats import errors
from nats.js import errors as jetstream_errors
from nats_servers import NatsServer, as_towpath, nats_program, running_nats
from pydantic import ValidationError
from services import Server, answers_tcp, free_port, running
from structlog.testing import capture_logs
from structlog.typing import EventDict
from waiting import until

from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_errors import is_full, nats_sentence
from collectors.nats.request_doubts import RequestDoubts

USERS = "authorization { users: [{ user: towpath, password: right }] }\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running_nats(tmp_path_factory.mktemp("nats"), USERS) as server:
        yield server


def _events(logs: list[EventDict]) -> list[str]:
    print(*logs, sep="\n")
    return [entry["event"] for entry in logs]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"servers": ()}, "at least 1"),
        ({"servers": ("http://a:1",)}, "expected nats://host:port"),
        ({"servers": ("nats://a",)}, "expected nats://host:port"),
        ({"servers": ("nats://a:b",)}, "expected nats://host:port"),
        ({"servers": ("nats://u:p@a:1",)}, "expected user and password_file"),
        ({"user": "a"}, "both user and password_file"),
        (
            {"user": "a", "password_file": "b", "credentials_file": "c"},
            "or credentials_file, not both",
        ),
        ({"certificate": "a.pem"}, "both certificate and private_key"),
        ({"prefix": "a.b"}, "pattern"),
        ({"replicas": 2}, "1 or 3"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    settings: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        NatsConfig.model_validate(settings)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "cannot be reached"),
        (errors.AuthorizationError(), "credentials or the certificate is refused"),
        (errors.Error("nats: 'Authorization Violation'"), "certificate is refused"),
        (errors.TimeoutError(), "no answer in time"),
        (AssertionError("must be called only from Client.connect"), "while it was"),
        (ssl.SSLError(1, "wrong version number"), "TLS failed"),
        (jetstream_errors.NoStreamResponseError(), "no stream takes"),
        (jetstream_errors.ServiceUnavailableError(), "JetStream is not enabled"),
        (jetstream_errors.APIError(503, None, 10039, None), "for this user"),
        (jetstream_errors.APIError(503, None, 10008, None), "no quorum"),
        (jetstream_errors.APIError(409, "in process", 10158, None), "too few servers"),
        (jetstream_errors.APIError(503, "full", 10047, None), "no room is left: full"),
        (jetstream_errors.APIError(400, "odd", 1, None), "JetStream refuses: odd"),
    ],
)
def test_each_error_is_one_plain_sentence(error: Exception, sentence: str) -> None:
    said = nats_sentence(error, NatsConfig(servers=("nats://a:1", "nats://b:2")))
    assert said.startswith("nats://a:1, nats://b:2: ")
    assert sentence in said


def test_a_full_server_is_recognised() -> None:
    assert is_full(jetstream_errors.APIError(503, "", 10047, None))
    assert not is_full(jetstream_errors.APIError(503, "", 10008, None))


async def test_a_server_that_comes_back_is_used_again(tmp_path: Path) -> None:
    with running_nats(tmp_path / "nats") as server, capture_logs() as logs:
        config = NatsConfig(servers=(server.url,))
        async with NatsConnection(config, "poll") as connection:
            assert connection.problem == ""
            server.kill()
            await until(lambda: "cannot be reached" in connection.problem)
            await asyncio.sleep(1.5)
            server.start()
            await until(lambda: not connection.problem)
    assert _events(logs) == ["nats_fails", "nats_works_again"]


async def test_a_server_that_says_that_all_is_well_and_answers_nothing_is_left(
    tmp_path: Path,
) -> None:
    with running_nats(tmp_path / "a") as a, running_nats(tmp_path / "b") as b:
        config = NatsConfig(servers=(a.url, b.url))
        async with NatsConnection(config, "poll") as connection:

            async def look() -> bool:
                connection.doubt()
                await until(lambda: not connection._doubts.is_doubted, "a look")
                return connection._server() != first

            first = connection._server()
            for _ in range(4):
                assert not await look()
                connection.confirm()
            await until(look, "the other server")
            await until(lambda: connection.is_connected, "a connection")


async def test_a_server_that_confirms_nothing_any_more_is_the_problem(
    server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one whose disk is full: it answers looks."""
    monkeypatch.setattr("collectors.nats.request_doubts._UNCONFIRMED_S", 0.5)
    async with NatsConnection(as_towpath(server, tmp_path), "poll") as connection:

        def is_reported() -> bool:
            connection.doubt()
            return "is a disk full?" in connection.problem

        await until(is_reported)
        connection.confirm()
        await until(lambda: not connection.problem)


def test_requests_of_which_none_is_answered_for_long_are_a_problem() -> None:
    doubts = RequestDoubts()
    assert not doubts.confirms_nothing(100)
    doubts.doubt(100)
    doubts.doubt(129)
    assert not doubts.confirms_nothing(129.9)
    assert doubts.confirms_nothing(130)
    doubts.confirm()
    assert not doubts.confirms_nothing(131)
    # Nobody has asked for a while.
    doubts.doubt(140)
    assert not doubts.confirms_nothing(171)
    doubts.doubt(172)
    assert not doubts.confirms_nothing(180)


def test_a_server_that_misled_before_is_left_at_once_and_all_of_them_seldom() -> None:
    doubts = RequestDoubts()

    def tries(server: str) -> int:
        """How many requests without an answer it takes to leave it."""
        count = 1
        while not doubts.is_misleading(True, server, 3):
            count += 1
        doubts.forget_looks()
        return count

    assert [tries("a"), tries("b"), tries("a")] == [2, 2, 1]
    assert [tries("a"), tries("c")] == [2, 4]
    doubts.is_misleading(True, "a", 3)
    doubts.is_misleading(False, "a", 3)
    doubts.confirm()
    assert [tries("a"), tries("a")] == [2, 1]


async def test_a_server_that_stands_still_with_much_unsent_is_left_for_another(
    server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client would wait until that server takes it all."""
    for name in ("_LOOK_ANSWER_S", "_FLUSH_S"):
        monkeypatch.setattr(f"collectors.nats.nats_connection.{name}", 0.1)
    with running_nats(tmp_path / "nats", USERS) as second:
        config = as_towpath(server, tmp_path)
        both = {"servers": (server.url, second.url)}
        async with NatsConnection(config.model_copy(update=both), "poll") as connection:
            used = connection.client.connected_url
            assert used is not None
            still, other = (
                (server, second) if used.port == server.port else (second, server)
            )
            os.kill(still.pid, signal.SIGSTOP)
            try:
                writing = [
                    asyncio.create_task(
                        connection.client.publish("any", bytes(1 << 20))
                    )
                    for _ in range(16)
                ]
                connection.doubt()
                await until(lambda: connection._server().endswith(f":{other.port}"))
                await until(lambda: not connection.problem)
                for task in writing:
                    task.cancel()
            finally:
                os.kill(still.pid, signal.SIGCONT)


async def test_a_password_that_is_changed_while_it_runs_is_read_again(
    tmp_path: Path,
) -> None:
    with running_nats(tmp_path / "nats", USERS) as server, capture_logs() as logs:
        config = as_towpath(server, tmp_path)
        async with NatsConnection(config, "poll") as connection:
            settings = server.folder / "nats.conf"
            settings.write_text(settings.read_text().replace("right", "another"))
            os.kill(server.pid, signal.SIGHUP)
            await until(
                lambda: "refused" in connection.problem and connection.client.is_closed
            )
            # Others go on asking meanwhile.
            with pytest.raises(errors.ConnectionClosedError):
                await connection.jetstream.account_info()
            as_towpath(server, tmp_path, "another")
            await until(lambda: not connection.problem)
    assert _events(logs) == ["nats_fails", "nats_works_again"]


async def test_files_that_are_missing_are_named(tmp_path: Path) -> None:
    config = NatsConfig(user="a", password_file=tmp_path / "none")
    with pytest.raises(ValueError, match=r"nats\.password_file: .*none: No such file"):
        await NatsConnection(config, "poll").__aenter__()
    config = NatsConfig(ca_file=tmp_path / "none")
    with pytest.raises(ValueError, match=r"nats\.ca_file: .*none: No such file"):
        await NatsConnection(config, "poll").__aenter__()


async def test_without_jetstream_that_is_the_problem(tmp_path: Path) -> None:
    config = tmp_path / "nats.conf"
    port = free_port()
    config.write_text(f"listen: 127.0.0.1:{port}\n")
    plain = Server(
        [nats_program(), "-c", str(config)], tmp_path, port, lambda: answers_tcp(port)
    )
    with running(plain):
        connection = NatsConnection(
            NatsConfig(servers=(f"nats://127.0.0.1:{port}",)), "poll"
        )
        entering = asyncio.create_task(connection.__aenter__())
        await until(lambda: "JetStream is not enabled" in connection.problem)
        entering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await entering
        await connection.__aexit__()

"""`towpath check` tries the servers of NATS: what cannot work there is one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from journal_places import JournalPlace
from nats.js import api
from nats_authority import Authority
from nats_servers import NatsServer, as_towpath, nats_program, running_nats
from services import Server, answers_tcp, free_port, running
from structlog.testing import capture_logs
from test_check import Folder
from test_journal_log import drain, rows
from waiting import until

from collectors.ingest.ingest_config import IngestConfig
from collectors.journal import JournalConfig
from collectors.nats import nats_trial
from collectors.nats.journal_streams import JournalStreams
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_trial import clock_sentences, try_nats
from collectors.nats.stream_settings import stream_config, stream_differences

JOURNAL = JournalConfig(
    folder=Path("unused"), max_bytes=64 << 20, segment_bytes=1 << 20
)
SMALL = "max_payload: 8192\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "own")


def _tls(authority: Authority, name: str, days: int, host: str = "127.0.0.1") -> str:
    certificate, key = authority.issue(name, days, host)
    return (
        f"tls {{ cert_file: {certificate}, key_file: {key}, "
        f"ca_file: {authority.file}, verify: true }}\n"
        "authorization { users: [{ user: towpath, password: right }] }\n"
    )


@pytest.fixture(scope="module")
def secure(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NatsServer]:
    folder = tmp_path_factory.mktemp("secure")
    with running_nats(folder, _tls(authority, "server", 30)) as server:
        yield server


def _config(
    server: NatsServer, authority: Authority, folder: Path, password: str = "right"
) -> NatsConfig:
    certificate, key = authority.issue("client", 30)
    path = folder / "password"
    path.write_text(password)
    path.chmod(0o600)
    return NatsConfig(
        servers=(server.url.replace("nats://", "tls://"),),
        user="towpath",
        password_file=path,
        ca_file=authority.file,
        certificate=certificate,
        private_key=key,
    )


async def _only_warning(config: NatsConfig) -> str:
    with capture_logs() as logs:
        trial = await try_nats(config, JOURNAL)
    assert logs == []
    [warning] = trial.warnings
    assert warning.startswith(f"{config.servers[0]}: ")
    assert "\n" not in warning
    return warning


async def test_with_certificates_of_an_own_authority_on_both_sides_it_connects(
    secure: NatsServer, authority: Authority, tmp_path: Path
) -> None:
    config = _config(secure, authority, tmp_path)
    trial = await try_nats(config, JOURNAL)
    assert trial.warnings == []
    [fact] = trial.facts
    assert fact.startswith(f"{config.servers[0]}: nats-server 2.")
    async with NatsConnection(config, "poll") as connection:
        assert connection.problem == ""
        assert connection._tls is not None
        # No public authority can vouch for another server.
        assert len(connection._tls.get_ca_certs()) == 1
        assert (await connection.jetstream.account_info()).streams == 0


async def test_a_wrong_password_is_said(
    secure: NatsServer, authority: Authority, tmp_path: Path
) -> None:
    warning = await _only_warning(_config(secure, authority, tmp_path, "wrong"))
    assert "the credentials or the certificate is refused" in warning


async def test_secrets_that_others_can_read_are_said(
    secure: NatsServer, authority: Authority, tmp_path: Path
) -> None:
    config = _config(secure, authority, tmp_path)
    for path in (config.password_file, config.private_key):
        assert path is not None
        path.chmod(0o644)
    trial = await try_nats(config, JOURNAL)
    assert [warning.split(":")[0] for warning in trial.warnings] == [
        "nats.password_file",
        "nats.private_key",
    ]
    assert "has mode 0644, expected 0600 or 0640" in trial.warnings[0]


async def test_another_authority_is_said(
    secure: NatsServer, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other")
    config = _config(secure, authority, tmp_path)
    config = config.model_copy(update={"ca_file": other.file})
    warning = await _only_warning(config)
    assert "the server's certificate is not accepted" in warning
    assert "(nats.ca_file)" in warning
    inside = IngestConfig(dmz_nodes={"outside": config})
    warning = await _only_warning(inside.dmz_nodes["outside"])
    assert "(ingest.dmz_nodes.outside.ca_file)" in warning


async def test_an_authority_that_is_put_right_is_read_without_a_restart(
    secure: NatsServer,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collectors.nats.nats_connection._FIRST_S", 0.1)
    file = tmp_path / "own.pem"
    file.write_bytes(Authority(tmp_path, "other").file.read_bytes())
    config = _config(secure, authority, tmp_path)
    config = config.model_copy(update={"ca_file": file})
    async with NatsConnection(config, "poll") as connection:
        await until(lambda: "is not accepted" in connection.problem)
        file.write_bytes(authority.file.read_bytes())
        await until(lambda: not connection.problem)


async def test_that_a_certificate_is_demanded_is_said(
    secure: NatsServer,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = _config(secure, authority, tmp_path)
    config = config.model_copy(update={"certificate": None, "private_key": None})
    said = "it demands a certificate that it accepts (nats.certificate)"
    assert said in await _only_warning(config)
    monkeypatch.setattr("collectors.nats.nats_connection._FIRST_S", 0.1)
    async with NatsConnection(config, "poll") as connection:
        await until(lambda: said in connection.problem)


async def test_a_certificate_of_another_authority_is_refused(
    secure: NatsServer, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = Authority(tmp_path, "other").issue("client", 30)
    config = _config(secure, authority, tmp_path)
    update = {"certificate": certificate, "private_key": key}
    assert "nats.certificate" in await _only_warning(config.model_copy(update=update))


@pytest.mark.parametrize(
    ("days", "host", "sentence"),
    [(-1, "127.0.0.1", "expired"), (30, "nats.example", "not valid for")],
)
async def test_a_server_with_a_wrong_certificate_is_said(
    authority: Authority, tmp_path: Path, days: int, host: str, sentence: str
) -> None:
    extra = _tls(authority, f"server{days}", days, host)
    with running_nats(tmp_path / "nats", extra) as server:
        warning = await _only_warning(_config(server, authority, tmp_path))
    assert "the server's certificate is not accepted" in warning
    assert sentence in warning


async def test_what_a_server_cannot_keep_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_nats(tmp_path / "nats", SMALL) as server:
        config = NatsConfig(servers=(server.url,))
        large = JournalConfig(folder=Path("unused"))
        warnings = (await try_nats(config, large)).warnings
        assert "max_payload is 8192 bytes, expected at least 65536" in warnings[0]
        assert "journal.max_bytes is 2048 MiB, but the servers have" in warnings[1]
        three = config.model_copy(update={"replicas": 3})
        monkeypatch.setattr(nats_trial, "_SAFE", (999, 0, 0))
        old, _, few = (await try_nats(three, JOURNAL)).warnings
        assert "is not safe with nats.replicas = 3" in old
        assert "nats.replicas is 3, but the servers cannot keep so many" in few
        async with NatsConnection(config, "poll") as connection:
            left = await connection.jetstream.streams_info()
    assert left == []


_ACCOUNT = """accounts {{ council {{
  jetstream: {{ max_file: 1G, max_streams: {streams}, max_consumers: {consumers} }}
  users: [{{ user: towpath, password: right }}]
}} }}
"""


@pytest.mark.parametrize(
    ("streams", "consumers", "sentence"),
    [(1, 5, "maximum number of streams"), (5, 3, "may have 3 consumers")],
)
async def test_a_limit_of_the_account_is_said(
    streams: int, consumers: int, sentence: str, tmp_path: Path
) -> None:
    extra = _ACCOUNT.format(streams=streams, consumers=consumers)
    with running_nats(tmp_path / "nats", extra) as server:
        config = as_towpath(server, tmp_path)
        async with NatsConnection(config, "poll") as connection:
            await JournalStreams(connection).ensure("poll", 30)
        [warning] = (await try_nats(config, JOURNAL)).warnings
    assert sentence in warning


async def test_a_limit_of_what_a_reader_may_request_is_said(tmp_path: Path) -> None:
    """By the check, and by the reader, which would wait for ever."""
    said = "the servers refuse to send: Exceeded MaxRequestBatch of 10"
    limit = "limits { max_request_batch: 10 }"
    with (
        running_nats(tmp_path / "nats", jetstream=limit) as server,
        capture_logs() as logs,
    ):
        place = JournalPlace(tmp_path, server)
        [warning] = (await try_nats(place.nats, JOURNAL)).warnings
        assert said in warning
        async with (
            place.connection,
            place.journal("poll") as journal,
            place.reader("store") as reader,
        ):
            for first in range(0, 32, 8):
                await journal.append(rows(first))
            # The servers never say that this is all: they refuse to.
            assert await drain(reader, most_s=2) == list(range(32))
            await until(lambda: any(said in e.get("error", "") for e in logs))
    assert [entry["event"] for entry in logs] == ["journal_reader_waits"]


async def test_that_jetstream_is_off_is_said(tmp_path: Path) -> None:
    config = tmp_path / "nats.conf"
    port = free_port()
    config.write_text(f"listen: 127.0.0.1:{port}\n")
    command = [nats_program(), "-c", str(config)]
    plain = Server(command, tmp_path, port, lambda: answers_tcp(port))
    with running(plain):
        nats = NatsConfig(servers=(f"nats://127.0.0.1:{port}",))
        [warning] = (await try_nats(nats, JOURNAL)).warnings
    assert "JetStream is not enabled" in warning


async def test_a_stream_with_other_settings_is_said_with_what_mends_it(
    nats_server: NatsServer,
) -> None:
    config = NatsConfig(servers=(nats_server.url,), prefix="otherwise")
    async with NatsConnection(config, "poll") as connection:
        streams = JournalStreams(connection)
        await streams.ensure("ingest", JOURNAL.max_days)
        assert (await try_nats(config, JOURNAL)).warnings == []
        await connection.jetstream.add_stream(
            api.StreamConfig(
                name=streams.stream("poll"),
                subjects=[streams.subject("poll")],
                discard=api.DiscardPolicy.OLD,
                max_msgs=100,
            )
        )
        warnings = (await try_nats(config, JOURNAL)).warnings
        # What they say is done, and then nothing is left to say.
        name = streams.stream("poll")
        assert [warning.rpartition("; ")[2] for warning in warnings] == [
            f"nats stream edit {name} --discard=new",
            f"nats stream edit {name} --max-age=30d",
            f"nats stream edit {name} --max-msgs=-1",
        ]
        made = stream_config(name, streams.subject("poll"), JOURNAL.max_days, 1)
        await connection.jetstream.update_stream(made)
        assert (await try_nats(config, JOURNAL)).warnings == []
        left = await streams.names()
    assert not [name for name in left if name.endswith("check")]


def test_what_servers_do_not_change_takes_a_new_stream() -> None:
    found = {"name": "towpath-poll", "subjects": ["a"], "retention": "workqueue"}
    *_, sealed = stream_differences({**found, "sealed": True}, "a", 30, 3)
    assert sealed.startswith("the stream towpath-poll has sealed = yes, expected no: ")
    assert sealed.endswith("then nats stream rm towpath-poll")


def test_clocks_that_differ_are_said() -> None:
    assert list(clock_sentences("nats://a:1", -29)) == []
    [behind] = clock_sentences("nats://a:1", -95)
    assert "is 95 s behind this machine's" in behind
    [ahead] = clock_sentences("nats://a:1", 31)
    assert "is 31 s ahead of this machine's" in ahead


def test_check_warns_of_servers_that_are_away_and_refuses_files_that_are(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path)
    url = f"nats://127.0.0.1:{free_port()}"
    nats = f"""[journal]
kind = "nats"

[nats]
servers = ["{url}"]
"""
    folder.change("[web]", nats + "\n[web]")
    wrong, misleading = folder.found()
    assert wrong == []
    [warning] = (text for text in misleading if url in text)
    assert warning == f"{url}: cannot be reached: Connection refused"
    folder.change("servers =", 'ca_file = "none.pem"\nservers =')
    wrong, _ = folder.found()
    [problem] = (text for text in wrong if "nats" in text)
    assert problem.startswith("nats.ca_file: ")

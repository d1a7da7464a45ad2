"""Files of credentials: a real server lets in a process that has one, and what is wrong
with a file is one sentence that shows nothing secret."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats_operator import ACCOUNT, USER, NatsOperator, Nkey, write_credentials
from nats_servers import NatsServer, running_nats
from structlog.testing import capture_logs
from waiting import until

from collectors.certificate_files import CertificateFiles
from collectors.journal import JournalConfig
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_credentials import (
    CredentialsRefused,
    parse_credentials,
    read_credentials,
)
from collectors.nats.nats_trial import expiry_sentences, try_nats
from towpath.config import TowpathConfig, certificate_files

KEY = Nkey(USER)
JOURNAL = JournalConfig(folder=Path("unused"), max_bytes=1 << 20, segment_bytes=1 << 16)


@pytest.fixture(scope="module")
def operator() -> NatsOperator:
    return NatsOperator()


@pytest.fixture(scope="module")
def server(
    operator: NatsOperator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NatsServer]:
    with running_nats(tmp_path_factory.mktemp("operated"), operator.extra) as server:
        yield server


def _config(server: NatsServer, path: Path) -> NatsConfig:
    return NatsConfig(servers=(server.url,), credentials_file=path)


async def test_an_operators_server_lets_in_the_user_of_a_creds_file(
    operator: NatsOperator,
    server: NatsServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = operator.issue_credentials(tmp_path / "towpath.creds", Nkey(USER))
    config = _config(server, path)
    trial = await try_nats(config, JOURNAL)
    assert trial.warnings == []
    monkeypatch.setattr("collectors.nats.nats_connection._FIRST_S", 0.1)
    # The JWT of an account that the server does not know, and then the right one.
    NatsOperator().issue_credentials(path, Nkey(USER))
    [warning] = (await try_nats(config, JOURNAL)).warnings
    assert "the credentials or the certificate is refused" in warning
    with capture_logs() as logs:
        async with NatsConnection(config, "poll") as connection:
            await until(lambda: "is refused" in connection.problem)
            operator.issue_credentials(path, Nkey(USER))
            await until(lambda: not connection.problem)
    assert [entry["event"] for entry in logs] == ["nats_fails", "nats_works_again"]


async def test_a_server_that_knows_the_key_lets_in_its_seed_alone(
    tmp_path: Path,
) -> None:
    extra = f"authorization {{ users: [{{ nkey: {KEY.public} }}] }}\n"
    path = write_credentials(tmp_path / "seed", f"# towpath\n{KEY.seed}\n")
    with running_nats(tmp_path / "nats", extra) as server:
        async with NatsConnection(_config(server, path), "poll") as connection:
            assert connection.problem == ""
        write_credentials(path, Nkey(USER).seed)
        [warning] = (await try_nats(_config(server, path), JOURNAL)).warnings
    assert "is refused" in warning


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not a file of credentials: expected the blocks"),
        ("password", "is not a file of credentials"),
        (KEY.seed[:20] + KEY.seed[21:] + "A", "has a seed that is damaged"),
        (KEY.seed[:20], "has a seed that is damaged"),
        (Nkey(ACCOUNT).seed, "expected a user's"),
        (KEY.public, "is not a file of credentials"),
        (
            f"---BEGIN USER NKEY SEED---\n{KEY.seed}\n---END USER NKEY SEED---",
            "has no block NATS USER JWT",
        ),
    ],
    # Keys are made anew in each process: named by them, workers collect other tests.
    ids=["empty", "password", "swapped", "short", "account", "public", "no-jwt"],
)
def test_what_is_wrong_with_a_file_is_one_sentence_without_its_secret(
    text: str, sentence: str, tmp_path: Path
) -> None:
    path = write_credentials(tmp_path / "a.creds", text)
    with pytest.raises(CredentialsRefused) as refused:
        read_credentials(path)
    said = str(refused.value)
    assert said.startswith(f"{path} ")
    assert sentence in said
    assert "\n" not in said
    assert KEY.seed[4:16] not in said


def test_a_jwt_beside_the_key_of_another_user_is_refused(
    operator: NatsOperator, tmp_path: Path
) -> None:
    other = Nkey(USER)
    path = operator.issue_credentials(tmp_path / "a.creds", other, exp=1_800_000_000)
    assert read_credentials(path).expires_s == 1_800_000_000
    write_credentials(path, path.read_text().replace(other.seed, KEY.seed))
    with pytest.raises(CredentialsRefused, match="the JWT of another user"):
        read_credentials(path)
    jwt = path.read_text().splitlines()[1]
    write_credentials(path, path.read_text().replace(jwt, "a.b.c"))
    with pytest.raises(CredentialsRefused, match="a JWT that is damaged"):
        read_credentials(path)


def test_the_days_until_a_jwt_expires_are_watched_like_those_of_a_certificate(
    operator: NatsOperator, tmp_path: Path
) -> None:
    path = operator.issue_credentials(tmp_path / "a.creds", KEY, exp=1_800_000_000)
    config = TowpathConfig(nats=NatsConfig(credentials_file=path))
    files = CertificateFiles(certificate_files(config, ["poll"]), "poll")

    def fields() -> dict[str, object]:
        [sample] = files.samples(1_800_000_000_000 - 5 * 86_400_000)
        assert sample.tags["setting"] == "nats.credentials_file"
        return {key: sample.fields[key] for key in sample.fields if key != "file"}

    assert fields() == {"readable": 1, "certificate_days": 5}
    write_credentials(path, KEY.seed)
    assert fields() == {"readable": 1}
    path.unlink()
    assert fields() == {"readable": 0}


async def test_a_jwt_that_has_expired_is_said_beside_the_refusal(
    operator: NatsOperator, server: NatsServer, tmp_path: Path
) -> None:
    path = operator.issue_credentials(tmp_path / "a.creds", KEY, exp=1_750_000_000)
    expired, refused = (await try_nats(_config(server, path), JOURNAL)).warnings
    assert expired.startswith("nats.credentials_file: its JWT expired on 2025-06-15 ")
    assert "is refused" in refused
    day_s = 86_400
    assert not [*expiry_sentences(None, 0), *expiry_sentences(22 * day_s, 0)]
    [soon] = expiry_sentences(20 * day_s, 0)
    assert "its JWT expires on 1970-01-21 00:00 UTC" in soon


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602])
def test_a_file_that_others_can_read_is_refused_at_the_start(
    mode: int, tmp_path: Path
) -> None:
    path = write_credentials(tmp_path / "seed", KEY.seed, mode)
    connection = NatsConnection(NatsConfig(credentials_file=path), "poll")
    with pytest.raises(ValueError, match=r"nats\.credentials_file: .* has mode 06"):
        connection._read_files()


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    said = {tmp_path / "none": "No such file", tmp_path: "directory"}
    for path, why in said.items():
        connection = NatsConnection(NatsConfig(credentials_file=path), "poll")
        with pytest.raises(ValueError, match=f"credentials_file: {path}: .*{why}"):
            connection._read_files()
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\x00")
    with pytest.raises(CredentialsRefused, match="is not a text file"):
        read_credentials(binary)
    if os.geteuid():
        locked = write_credentials(tmp_path / "locked", KEY.seed, 0)
        with pytest.raises(CredentialsRefused, match="Permission denied"):
            read_credentials(locked)


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_any_text_is_either_credentials_or_one_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has) "):
        parse_credentials(text)

"""Credentials: names to values, from three places, never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.snmp import CredentialError, Credentials, credential


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_community_is_v2c_and_a_user_is_v3_with_sha256_and_aes128() -> None:
    assert credential("a", {"community": "x"}).version == "2c"
    three = credential(
        "a", {"user": "u", "auth_password": "p" * 8, "priv_password": "q" * 8}
    )
    assert (three.version, three.auth, three.priv) == ("3", "sha256", "aes128")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"comunity": "x"}, "did you mean 'community'"),
        ({"version": "4", "community": "x"}, "not one of 1, 2c, 3"),
        ({"version": "2c"}, "needs a community"),
        ({"version": "3"}, "needs a user"),
        ({"user": "u", "auth": "sha265", "auth_password": "p" * 8}, "mean 'sha256'"),
        ({"user": "u", "auth_password": "short"}, "at least 8 characters"),
        ({"user": "u", "priv": "aes", "priv_password": "p" * 8}, "priv needs auth"),
        ({"user": "u", "auth": "none", "auth_password": "p" * 8}, "auth is none"),
        ({"community": "x", "auth": "md5"}, "no meaning in version 2c"),
        ({"community": 5}, "must be text"),
    ],
)
def test_what_is_wrong_is_explained_in_one_sentence(
    given: dict[str, object], says: str
) -> None:
    with pytest.raises(CredentialError, match="'core'") as caught:
        credential("core", given)
    assert says in str(caught.value)


def test_values_are_never_shown(tmp_path: Path) -> None:
    held = credential(
        "a",
        {"user": "u", "auth_password": "topsecret1", "priv_password": "topsecret2"},
    )
    community = credential("b", {"community": "topsecret3"})
    assert "topsecret" not in repr(held) + str(held) + repr(community)
    broken = write(tmp_path / "c.toml", "[a]\ncommunity = topsecret4\n")
    with pytest.raises(CredentialError) as caught:
        Credentials.read(broken, {})
    assert "topsecret" not in str(caught.value)
    assert "line 2" in str(caught.value)


def test_passwords_of_the_command_line_are_no_credential() -> None:
    env = {"TOWPATH_SNMP_AUTH_PASSWORD": "x", "TOWPATH_SNMP_PRIV_PASSWORD": "y"}
    assert not list(Credentials.read(None, env))


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    file = write(
        tmp_path / "c.toml", '[core-1]\ncommunity = "f"\n[edge]\ncommunity = "e"\n'
    )
    env = {"TOWPATH_SNMP_CORE_1_COMMUNITY": "from-env", "PATH": "/bin"}
    credentials = Credentials.read(file, env)
    assert credentials.get("core-1").community == "from-env"
    assert credentials.get("edge").community == "e"
    assert "edge" in credentials
    assert "other" not in credentials


def test_keys_with_two_words_belong_to_the_shorter_name() -> None:
    env = {
        "TOWPATH_SNMP_CORE_USER": "u",
        "TOWPATH_SNMP_CORE_AUTH_PASSWORD": "p" * 8,
        "TOWPATH_SNMP_CORE_AUTH": "SHA-512",
    }
    held = Credentials.read(None, env).get("core")
    assert (held.user, held.auth, held.auth_password) == ("u", "sha512", "p" * 8)


def test_systemds_credentials_folder_is_read(tmp_path: Path) -> None:
    write(tmp_path / "towpath-snmp.toml", '[default]\ncommunity = "s"\n', 0o444)
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert Credentials.read(None, env).get("default").community == "s"


def test_a_file_others_can_read_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "c.toml", '[a]\ncommunity = "x"\n', 0o644)
    with pytest.raises(CredentialError, match="chmod 600"):
        Credentials.read(file, {})


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="cannot be read"):
        Credentials.read(tmp_path / "none.toml", {})


def test_the_error_of_an_unknown_name_explains_how_to_add_it() -> None:
    credentials = Credentials({"default": credential("d", {"community": "x"})})
    with pytest.raises(CredentialError, match="did you mean 'default'") as caught:
        credentials.get("defualt")
    assert "TOWPATH_SNMP_DEFUALT_COMMUNITY" in str(caught.value)


def test_a_misspelt_variable_is_reported() -> None:
    with pytest.raises(CredentialError, match="TOWPATH_SNMP_A_COMUNITY"):
        Credentials.read(None, {"TOWPATH_SNMP_A_COMUNITY": "x"})


def test_clear_text_is_warned_of() -> None:
    good = {"user": "u", "auth_password": "p" * 8, "priv_password": "q" * 8}
    credentials = Credentials(
        {
            "old": credential("old", {"community": "x"}),
            "open": credential("open", {"user": "u", "auth_password": "p" * 8}),
            "weak": credential("weak", {**good, "auth": "md5"}),
            "good": credential("good", good),
        }
    ).warnings()
    assert len(credentials) == 3
    assert "'old'" in credentials[0]
    assert "clear text" in credentials[0]

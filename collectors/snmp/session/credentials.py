"""Credentials: the estate has their names, and the values come from elsewhere.

The values of a credential called `core` are looked for in this order:

1. the environment: `TOWPATH_SNMP_CORE_COMMUNITY`, or `TOWPATH_SNMP_CORE_USER`,
   `…_AUTH`, `…_AUTH_PASSWORD`, `…_PRIV`, `…_PRIV_PASSWORD`, `…_CONTEXT`, `…_VERSION`;
2. `towpath-snmp.toml` in systemd's credentials directory;
3. the file that `credentials_file` names, readable by its owner only.

Both files are TOML, with one table per name and the same keys in lower case. Values are
never printed: `repr` hides them, and no error repeats one.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from probes.wire.catalogue import did_you_mean

PREFIX = "TOWPATH_SNMP_"
# The passwords of the user on the command line. They belong to no name.
AUTH_PASSWORD, PRIV_PASSWORD = f"{PREFIX}AUTH_PASSWORD", f"{PREFIX}PRIV_PASSWORD"
SYSTEMD_FILE = "towpath-snmp.toml"
KEYS = (
    "version",
    "community",
    "user",
    "auth",
    "auth_password",
    "priv",
    "priv_password",
    "key_expansion",
    "context",
)
VERSIONS = {"1": "1", "v1": "1", "2": "2c", "2c": "2c", "v2c": "2c", "3": "3"}
VERSIONS |= {"v3": "3"}
AUTH = ("none", "md5", "sha1", "sha224", "sha256", "sha384", "sha512")
PRIV = ("none", "des", "aes128", "aes192", "aes256")
_ALIASES = {"sha": "sha1", "aes": "aes128"}
# RFC 3414 section 11.2
_MIN_PASSWORD = 8


class CredentialError(ValueError):
    """A credential is wrong; the text says which, and what was expected."""


class Credential(msgspec.Struct, frozen=True):
    """How to authenticate to an agent. Made and checked by `credential()`."""

    version: str
    community: str = ""
    user: str = ""
    auth: str = "none"
    auth_password: str = ""
    priv: str = "none"
    priv_password: str = ""
    key_expansion: str = "blumenthal"
    context: str = ""

    def __repr__(self) -> str:
        who = f"user {self.user!r}" if self.version == "3" else "community hidden"
        return f"Credential(v{self.version}, {who}, {self.auth}/{self.priv})"


def credential(name: str, given: Mapping[str, Any]) -> Credential:
    """A checked credential from the keys in `KEYS`. Raises `CredentialError`."""

    def wrong(what: str) -> CredentialError:
        return CredentialError(f"SNMP credential {name!r}: {what}")

    for key, value in given.items():
        if key not in KEYS:
            raise wrong(f"unknown key {key!r}{did_you_mean(key, KEYS)}")
        if not isinstance(value, str):
            raise wrong(f"{key} must be text in quotes")
    requested = given.get("version", "3" if "user" in given else "2c")
    version = VERSIONS.get(requested.lower())
    if version is None:
        raise wrong(f"version {requested!r} is not one of 1, 2c, 3")
    if version != "3":
        if not given.get("community"):
            raise wrong(f"version {version} needs a community")
        for key in given:
            if key not in ("version", "community"):
                raise wrong(f"{key} has no meaning in version {version}")
        return Credential(version, community=given["community"])
    if not given.get("user"):
        raise wrong("version 3 needs a user")
    if "community" in given:
        raise wrong("community has no meaning in version 3")
    auth_password = given.get("auth_password", "")
    priv_password = given.get("priv_password", "")
    auth = _protocol(name, "auth", given, AUTH, "sha256" if auth_password else "none")
    priv = _protocol(name, "priv", given, PRIV, "aes128" if priv_password else "none")
    for kind, protocol, password in (
        ("auth", auth, auth_password),
        ("priv", priv, priv_password),
    ):
        if protocol != "none" and len(password) < _MIN_PASSWORD:
            raise wrong(
                f"{kind} {protocol} needs {kind}_password of at least "
                f"{_MIN_PASSWORD} characters"
            )
        if protocol == "none" and password:
            raise wrong(f"{kind}_password is given but {kind} is none")
    if priv != "none" and auth == "none":
        raise wrong("priv needs auth (there is no encryption without authentication)")
    expansion = given.get("key_expansion", "blumenthal").lower()
    if expansion not in ("blumenthal", "cisco"):
        raise wrong("key_expansion is neither blumenthal nor cisco")
    return Credential(
        version,
        user=given["user"],
        auth=auth,
        auth_password=auth_password,
        priv=priv,
        priv_password=priv_password,
        key_expansion=expansion,
        context=given.get("context", ""),
    )


class Credentials:
    """All credentials, by name; read and checked once, at the start."""

    def __init__(self, by_name: Mapping[str, Credential]) -> None:
        self._by_name = dict(by_name)

    @staticmethod
    def read(
        file: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Credentials:
        """Reads all credentials. Raises `CredentialError` for the first wrong one."""
        env = os.environ if env is None else env
        by_name: dict[str, Credential] = {}
        if file is not None:
            by_name |= _from_file(file, owner_only=True)
        folder = env.get("CREDENTIALS_DIRECTORY")
        if folder and (Path(folder) / SYSTEMD_FILE).exists():
            # systemd lets only the service read it.
            by_name |= _from_file(Path(folder) / SYSTEMD_FILE, owner_only=False)
        return Credentials(by_name | _from_env(env))

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name or (
            isinstance(name, str) and _env_name(name) in self._by_name
        )

    def values(self) -> list[Credential]:
        """All credentials, each once."""
        return list(dict.fromkeys(self._by_name.values()))

    def get(self, name: str) -> Credential:
        """The credential of that name.

        Raises `CredentialError`, which explains how to add one.
        """
        known = self._by_name.get(_env_name(name)) or self._by_name.get(name)
        if known is None:
            raise CredentialError(
                f"there is no SNMP credential {name!r}"
                f"{did_you_mean(name, self._by_name)}; add it to the credentials "
                f"file as [{name}] or as {PREFIX}{_env_name(name)}_COMMUNITY "
                f"or …_USER in the environment"
            )
        return known

    def warnings(self) -> list[str]:
        """What works but is not safe, one sentence each."""
        warnings = []
        for name, known in sorted(self._by_name.items()):
            if known.version != "3":
                warnings.append(
                    f"SNMP credential {name!r} is v{known.version}: the community and "
                    "all answers cross the network in clear text; use v3 with auth "
                    "and priv if the device can"
                )
            elif known.priv == "none":
                warnings.append(
                    f"SNMP credential {name!r} does not encrypt: add priv_password"
                )
            elif known.auth == "md5" or known.priv == "des":
                warnings.append(
                    f"SNMP credential {name!r} uses {known.auth}/{known.priv}, which "
                    "are broken; use sha256/aes128 if the device can"
                )
        return warnings


def _protocol(
    name: str,
    kind: str,
    given: Mapping[str, Any],
    known: tuple[str, ...],
    default: str,
) -> str:
    requested: str = given.get(kind, default)
    protocol = requested.lower().replace("-", "").replace("_", "")
    protocol = _ALIASES.get(protocol, protocol)
    if protocol not in known:
        raise CredentialError(
            f"SNMP credential {name!r}: {kind} {requested!r} is not one of "
            f"{', '.join(known)}{did_you_mean(protocol, known)}"
        )
    return protocol


def _from_file(path: Path, owner_only: bool) -> dict[str, Credential]:
    try:
        mode = path.stat().st_mode
        if owner_only and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise CredentialError(
                f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}): "
                f"chmod 600 {path}"
            )
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CredentialError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        position = re.search(r"\(at .*\)", str(error))
        # The text of the error may quote the line, and with it a secret.
        raise CredentialError(
            f"{path} is not valid TOML {position.group() if position else ''}".strip()
        ) from None
    by_name = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise CredentialError(
                f"{path}: {name!r} is outside a table; expected tables like [default]"
            )
        by_name[name] = credential(name, table)
    return by_name


def _from_env(env: Mapping[str, str]) -> dict[str, Credential]:
    tables: dict[str, dict[str, str]] = {}
    for variable, value in env.items():
        if not variable.startswith(PREFIX) or variable in (
            AUTH_PASSWORD,
            PRIV_PASSWORD,
        ):
            continue
        rest = variable.removeprefix(PREFIX)
        # Longest key first: CORE_AUTH_PASSWORD is not key PASSWORD of CORE_AUTH.
        for key in sorted(KEYS, key=len, reverse=True):
            if rest.endswith(f"_{key.upper()}"):
                tables.setdefault(rest[: -len(key) - 1], {})[key] = value
                break
        else:
            known = [f"{PREFIX}NAME_{key.upper()}" for key in KEYS]
            raise CredentialError(
                f"{variable} ends in no known key; expected one of {', '.join(known)}"
            )
    by_name = {}
    for name, table in tables.items():
        by_name[name] = credential(name, table)
    return by_name


def _env_name(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())

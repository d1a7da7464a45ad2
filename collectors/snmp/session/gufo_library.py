"""All that is used of gufo-snmp: its sockets, and no other module imports the library.

Its public sessions cannot be used, because they wait in a way of their own. The sockets
in its private module `_fast` send and receive separately, and their descriptor can be
registered with the event loop. `mismatch` compares them with what is expected here: a
version of the library that differs is not used, rather than failing during a poll.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gufo.snmp import (
    Aes128Key,
    Aes192Key,
    Aes256Key,
    DesKey,
    KeyExpansion,
    Md5Key,
    Sha1Key,
    Sha224Key,
    Sha256Key,
    Sha384Key,
    Sha512Key,
    SnmpError,
    User,
    _fast,
)

from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.session import Value

_AUTH = {
    "md5": Md5Key,
    "sha1": Sha1Key,
    "sha224": Sha224Key,
    "sha256": Sha256Key,
    "sha384": Sha384Key,
    "sha512": Sha512Key,
}
_PRIV = {"des": DesKey, "aes128": Aes128Key, "aes192": Aes192Key, "aes256": Aes256Key}
_PANIC = "PanicException"

_CLIENT = "(addr, community, tos, send_buffer_size, recv_buffer_size, timeout_ns)"
_V3_CLIENT = (
    "(addr, engine_id, user_name, auth_alg, auth_key, priv_alg, priv_key, tos, "
    "send_buffer_size, recv_buffer_size, timeout_ns)"
)
_GET = {
    "get_fd": "($self)",
    "send_get_many": "($self, oids)",
    "recv_get_many": "($self)",
}
# The classes of `_fast`, their methods, and the signatures of both.
_EXPECTED = {
    "SnmpV1ClientSocket": (_CLIENT, _GET),
    "SnmpV2cClientSocket": (_CLIENT, _GET),
    "SnmpV3ClientSocket": (
        _V3_CLIENT,
        {
            **_GET,
            "send_refresh": "($self)",
            "recv_refresh": "($self)",
            "set_keys": ("($self, user_name, auth_alg, auth_key, priv_alg, priv_key)"),
        },
    ),
}


class GufoError(Exception):
    """gufo-snmp could not decode an answer, or panicked."""


class GufoSocket:
    """A non-blocking, connected UDP socket that encodes and decodes in Rust.

    The receiving methods raise `BlockingIOError` if there is no answer yet,
    `ConnectionRefusedError` or `TimeoutError` if nothing listens on the port, and
    `GufoError` if the answer cannot be decoded. `address` is an IP literal.
    """

    def __init__(self, address: str, port: int, credential: Credential) -> None:
        self._user = _user(credential) if credential.version == "3" else None
        # The zeros: no type of service, the system's buffers, and no timeout, so that
        # the socket does not block.
        end = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self._socket: Any
        if credential.version == "1":
            self._socket = _fast.SnmpV1ClientSocket(
                end, credential.community, 0, 0, 0, 0
            )
        elif credential.version == "2c":
            self._socket = _fast.SnmpV2cClientSocket(
                end, credential.community, 0, 0, 0, 0
            )
        else:
            self._socket = _fast.SnmpV3ClientSocket(
                end, b"", "", 0, b"", 0, b"", 0, 0, 0, 0
            )

    @property
    def descriptor(self) -> int:
        descriptor: int = self._socket.get_fd()
        return descriptor

    @property
    def needs_authentication(self) -> bool:
        return self._user is not None and self._user.require_auth()

    def send_get(self, oids: Sequence[str]) -> None:
        self._call(self._socket.send_get_many, list(oids))

    def receive_get(self) -> dict[str, Value]:
        """The values of the last GET; an Opaque is given as its octets."""
        values: dict[str, Value] = self._call(self._socket.recv_get_many)
        return values

    def send_refresh(self) -> None:
        """Requests the engine's id, boots and time (version 3)."""
        self._call(self._socket.send_refresh)

    def receive_refresh(self) -> None:
        self._call(self._socket.recv_refresh)

    def use_keys(self) -> None:
        """Uses the user and keys, once the engine's id is known (version 3)."""
        assert self._user is not None
        self._socket.set_keys(
            self._user.name,
            self._user.get_auth_alg(),
            self._user.get_auth_key(),
            self._user.get_priv_alg(),
            self._user.get_priv_key(),
        )

    def _call(self, method: Any, *arguments: Any) -> Any:
        try:
            return method(*arguments)
        except OSError:
            raise
        except (SnmpError, RuntimeError) as error:
            raise GufoError(str(error)) from None
        except BaseException as error:
            # Rust panics on some malformed answers. A panic is no Exception: if it were
            # not caught, the answer of one device would end the process.
            if type(error).__name__ != _PANIC:
                raise
            raise GufoError(str(error)) from None


def mismatch(fast: Any = _fast) -> str:
    """How the library differs from what is expected here; "" if it does not."""
    differences = list(_differences(fast))
    if not differences:
        return ""
    return f"gufo-snmp is not as expected: {'; '.join(differences)}"


def _differences(fast: Any) -> Iterable[str]:
    for class_name, (signature, methods) in _EXPECTED.items():
        socket_class = getattr(fast, class_name, None)
        if socket_class is None:
            yield f"no {class_name}"
            continue
        if _signature(socket_class) != signature:
            yield f"{class_name} takes {_signature(socket_class)}"
        for name, expected in methods.items():
            method = getattr(socket_class, name, None)
            if method is None:
                yield f"no {class_name}.{name}"
            elif _signature(method) != expected:
                yield f"{class_name}.{name} takes {_signature(method)}"


def _signature(callable: Any) -> str:
    return str(getattr(callable, "__text_signature__", None))


def _user(credential: Credential) -> User:
    auth = _AUTH[credential.auth] if credential.auth != "none" else None
    priv = _PRIV[credential.priv] if credential.priv != "none" else None
    return User(
        credential.user,
        auth_key=auth(credential.auth_password.encode()) if auth else None,
        priv_key=priv(credential.priv_password.encode()) if priv else None,
        key_expansion=(
            KeyExpansion.Cisco
            if credential.key_expansion == "cisco"
            else KeyExpansion.Blumenthal
        ),
    )

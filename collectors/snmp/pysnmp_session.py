"""A session on pysnmp: slower by a factor of ten and more, but pure Python.

For systems without a gufo-snmp wheel and for v3 contexts. The same values and the same
failures as `gufo_session`; here error-status is seen, not guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyasn1.error import PyAsn1Error  # type: ignore[import-untyped]
from pysnmp.error import PySnmpError
from pysnmp.hlapi.v3arch.asyncio import (
    USM_AUTH_HMAC96_MD5,
    USM_AUTH_HMAC96_SHA,
    USM_AUTH_HMAC128_SHA224,
    USM_AUTH_HMAC192_SHA256,
    USM_AUTH_HMAC256_SHA384,
    USM_AUTH_HMAC384_SHA512,
    USM_AUTH_NONE,
    USM_PRIV_CBC56_DES,
    USM_PRIV_CFB128_AES,
    USM_PRIV_CFB192_AES,
    USM_PRIV_CFB192_AES_BLUMENTHAL,
    USM_PRIV_CFB256_AES,
    USM_PRIV_CFB256_AES_BLUMENTHAL,
    USM_PRIV_NONE,
    CommunityData,
    ContextData,
    ObjectIdentity,
    ObjectType,
    SnmpEngine,
    Udp6TransportTarget,
    UdpTransportTarget,
    UsmUserData,
    bulk_cmd,
    get_cmd,
    next_cmd,
)
from pysnmp.proto.rfc1902 import (
    Integer,
    IpAddress,
    ObjectIdentifier,
    OctetString,
)
from pysnmp.proto.rfc1905 import EndOfMibView, NoSuchInstance, NoSuchObject

from collectors.snmp.credentials import Credential
from collectors.snmp.oids import under
from collectors.snmp.session import Failed, Patience, Row, Tally, TooMuch, Value
from probes.failure import Outcome
from probes.faults import outcome_of

_AUTH = {
    "none": USM_AUTH_NONE,
    "md5": USM_AUTH_HMAC96_MD5,
    "sha1": USM_AUTH_HMAC96_SHA,
    "sha224": USM_AUTH_HMAC128_SHA224,
    "sha256": USM_AUTH_HMAC192_SHA256,
    "sha384": USM_AUTH_HMAC256_SHA384,
    "sha512": USM_AUTH_HMAC384_SHA512,
}
_PRIV = {
    ("none", "blumenthal"): USM_PRIV_NONE,
    ("none", "cisco"): USM_PRIV_NONE,
    ("des", "blumenthal"): USM_PRIV_CBC56_DES,
    ("des", "cisco"): USM_PRIV_CBC56_DES,
    ("aes128", "blumenthal"): USM_PRIV_CFB128_AES,
    ("aes128", "cisco"): USM_PRIV_CFB128_AES,
    ("aes192", "blumenthal"): USM_PRIV_CFB192_AES_BLUMENTHAL,
    ("aes192", "cisco"): USM_PRIV_CFB192_AES,
    ("aes256", "blumenthal"): USM_PRIV_CFB256_AES_BLUMENTHAL,
    ("aes256", "cisco"): USM_PRIV_CFB256_AES,
}
_TOO_BIG, _NO_SUCH_NAME = 1, 2
_DENIED = (
    "unknownUserName",
    "wrongDigest",
    "decryptionError",
    "unsupportedSecLevel",
    "notInTimeWindow",
    "unknownSecurityName",
    "authorizationError",
    "unknownEngineID",
)
_ABSENT = (NoSuchObject, NoSuchInstance, EndOfMibView)


def open_engine() -> SnmpEngine:
    """The engine all sessions of one event loop share."""
    return SnmpEngine()


def close_engine(engine: Any) -> None:
    engine.close_dispatcher()


class PysnmpSession:
    """One agent at one address."""

    def __init__(
        self,
        engine: Any,
        address: str,
        port: int,
        credential: Credential,
        patience: Patience,
    ) -> None:
        self._engine, self._address, self._port = engine, address, port
        self._credential = credential
        self.patience = patience
        self.tally = Tally()
        self.on_silence: Callable[[], None] | None = None
        self._auth = _auth(credential)
        self._context = ContextData(contextName=credential.context.encode())
        self._targets: dict[float, Any] = {}

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        wanted = list(oids)
        while wanted:
            binds, status, at = await self._ask(get_cmd, wanted)
            if status == _TOO_BIG:
                raise TooMuch("tooBig")
            if status == _NO_SUCH_NAME and 0 < at <= len(wanted):
                # v1 refuses all for one: leave that one out and ask again.
                del wanted[at - 1]
                continue
            if status:
                raise TooMuch(f"error-status {status}")
            return {
                str(name): _value(value)
                for name, value in binds
                if not isinstance(value, _ABSENT) and _present(value)
            }
        return {}

    def pages(self, base: str, repetitions: int) -> PysnmpPages:
        if self._credential.version == "1":
            repetitions = 1
        return PysnmpPages(self, base, repetitions)

    def get_engine_id(self) -> bytes:
        # Kept by the library's engine, by address, where nobody is to look.
        return b""

    def close(self) -> None:
        self._targets.clear()

    async def _ask(
        self, command: Any, oids: list[str], *arguments: int
    ) -> tuple[Any, int, int]:
        """(variable bindings, error-status, error-index)."""
        objects = [ObjectType(ObjectIdentity(oid)) for oid in oids]
        for attempt, timeout_s in enumerate(self.patience.timeouts_s):
            self.tally.packets += 1
            if attempt > 0:
                self.tally.retries += 1
                if self.on_silence is not None:
                    self.on_silence()
            try:
                target = await self._target(timeout_s)
                indication, status, at, binds = await command(
                    self._engine,
                    self._auth,
                    target,
                    self._context,
                    *arguments,
                    *objects,
                    lookupMib=False,
                )
            except OSError as error:
                raise Failed(outcome_of(error), str(error)) from None
            except (PySnmpError, PyAsn1Error, ValueError) as error:
                raise Failed(Outcome.BAD_ANSWER, str(error)) from None
            if indication is None:
                return binds, int(status), int(at)
            said = type(indication).__name__ + " " + str(indication)
            if "RequestTimedOut" in said:
                continue
            if any(denied.lower() in said.lower() for denied in _DENIED):
                raise Failed(Outcome.AUTH_FAILED, str(indication))
            raise Failed(Outcome.BAD_ANSWER, str(indication))
        raise Failed(
            Outcome.TIMEOUT, f"no answer to {len(self.patience.timeouts_s)} requests"
        )

    async def _target(self, timeout_s: float) -> Any:
        # Retries are counted here, so the library makes none.
        if timeout_s not in self._targets:
            kind = Udp6TransportTarget if ":" in self._address else UdpTransportTarget
            self._targets[timeout_s] = await kind.create(
                (self._address, self._port), timeout=timeout_s, retries=0
            )
        return self._targets[timeout_s]


class PysnmpPages:
    """A walk; the guards are the caller's."""

    def __init__(self, session: PysnmpSession, base: str, repetitions: int) -> None:
        self._session, self._base, self._repetitions = session, base, repetitions
        self._next = base
        self._ended = False

    async def read(self) -> list[Row]:
        if self._ended:
            return []
        if self._repetitions <= 1:
            binds, status, _ = await self._session._ask(next_cmd, [self._next])
        else:
            binds, status, _ = await self._session._ask(
                bulk_cmd, [self._next], 0, self._repetitions
            )
        if status == _NO_SUCH_NAME:
            return []
        if status:
            raise TooMuch(f"error-status {status}")
        rows: list[Row] = []
        for name, value in binds:
            oid = str(name)
            if isinstance(value, _ABSENT) or not under(oid, self._base):
                self._ended = True
                break
            self._next = oid
            if _present(value):
                rows.append((oid, _value(value)))
        return rows


def _present(value: Any) -> bool:
    return not (hasattr(value, "tagSet") and type(value).__name__ == "Null")


def _value(value: Any) -> Value:
    if isinstance(value, IpAddress):
        return ".".join(map(str, value.asOctets()))
    if isinstance(value, OctetString) or hasattr(value, "asOctets"):
        return bytes(value.asOctets())
    if isinstance(value, ObjectIdentifier) or type(value).__name__.startswith("Object"):
        return str(value)
    if isinstance(value, Integer):
        return int(value)
    return int(value)


def _auth(credential: Credential) -> Any:
    if credential.version != "3":
        model = 0 if credential.version == "1" else 1
        return CommunityData(credential.community, mpModel=model)
    return UsmUserData(
        credential.user,
        authKey=credential.auth_password or None,
        privKey=credential.priv_password or None,
        authProtocol=_AUTH[credential.auth],
        privProtocol=_PRIV[(credential.priv, credential.key_expansion)],
    )

"""Authenticates notifications, and identifies the device each one is about.

v1 and v2c prove only a community and a source address; v3 authenticates the sender. A
trap that comes through a forwarder is about the device that first sent it, which the
trap itself names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

import msgspec

from collectors.estate.estate_model import Device, Estate
from collectors.snmp.session import v3_message
from collectors.snmp.session.ber import Malformed
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.v3_message import V3
from collectors.snmp.traps import trap_message
from collectors.snmp.traps.local_engine import LocalEngine
from collectors.snmp.traps.trap_message import (
    V1,
    V2C,
    CommunityMessage,
    NotATrap,
    TrapPdu,
)
from collectors.snmp.traps.traps_config import TrapsConfig
from collectors.snmp.traps.usm import TrapRefused, Usm, UsmMessage

# Why a message is refused: a closed list, counted by reason.
REASONS = (
    "unknown_source",
    "wrong_community",
    "unknown_user",
    "unsupported_level",
    "wrong_digest",
    "not_decrypted",
    "not_in_time",
    "repeated",
    "malformed",
    "not_a_trap",
)


class AcceptedTrap(msgspec.Struct, frozen=True, gc=False):
    """An authentic notification, and the device it is about. `community` is set for v1
    and v2c, `usm` for v3."""

    device: Device
    pdu: TrapPdu
    community: CommunityMessage | None = None
    usm: UsmMessage | None = None


class TrapSenders:
    """Authenticates notifications. `estate` may change at any time."""

    def __init__(
        self,
        config: TrapsConfig,
        estate: Callable[[], Estate],
        credentials: Iterable[Credential],
        engine: LocalEngine,
    ) -> None:
        known_credentials = tuple(credentials)
        self._config, self._estate = config, estate
        self._engine, self._usm = engine, Usm(known_credentials, engine)
        self._communities = {
            credential.community.encode()
            for credential in known_credentials
            if credential.version != "3"
        }
        self._known: Estate | None = None
        self._devices: dict[str, list[Device]] = {}

    def authenticate(self, data: bytes, address: str, now_s: float) -> AcceptedTrap:
        """Return the notification in a datagram.

        Raises `TrapRefused` with a reason from `REASONS`, or with `discovery` if the
        sender asks for our engine id.
        """
        try:
            version = trap_message.read_version(data)
            if version == V3:
                return self._authenticate_v3(data, address, now_s)
            if version in (V1, V2C):
                return self._authenticate_community(data, address)
        except NotATrap:
            raise TrapRefused("not_a_trap") from None
        except Malformed:
            raise TrapRefused("malformed") from None
        raise TrapRefused("malformed")

    def encode_response(self, inform: AcceptedTrap, now_s: float) -> bytes:
        """Encode the response to an inform."""
        pdu = trap_message.encode_response(inform.pdu)
        if inform.usm is not None:
            return self._usm.encode_response(inform.usm, pdu, now_s)
        message = inform.community
        assert message is not None
        return trap_message.encode_message(message.version, message.community, pdu)

    def is_known(self, address: str) -> bool:
        """Return True if a device of the estate or a forwarder has the address."""
        return bool(self._devices_at(address)) or self._is_forwarder(address)

    def _authenticate_community(self, data: bytes, address: str) -> AcceptedTrap:
        if not self.is_known(address):
            raise TrapRefused("unknown_source")
        message = trap_message.decode(data)
        if message.community not in self._communities:
            raise TrapRefused("wrong_community")
        device = self._identify_device(address, message.pdu.address)
        return AcceptedTrap(device, message.pdu, message)

    def _authenticate_v3(self, data: bytes, address: str, now_s: float) -> AcceptedTrap:
        known = self.is_known(address)
        try:
            message = v3_message.decode(data)
            authentic = self._usm.authenticate(message, address, now_s)
        except TrapRefused as refused:
            # Unknown sources get no report, so that forged source addresses cannot
            # turn this receiver against others.
            if not known:
                raise TrapRefused("unknown_source") from None
            raise refused
        if not known and authentic.credential.auth == "none":
            raise TrapRefused("unknown_source")
        engine_id = authentic.message.engine_id
        device = self._identify_device(address, authentic.pdu.address, engine_id)
        return AcceptedTrap(device, authentic.pdu, usm=authentic)

    def _identify_device(
        self, address: str, claimed_address: str, engine_id: bytes = b""
    ) -> Device:
        """Return the device that the notification is about.

        It is the device at `address`; behind a forwarder, or if several devices share
        an address, the one at `claimed_address`, which the notification states. A
        device that sends from an unknown address is recognised by its engine id.
        """
        at_source = self._devices_at(address)
        if len(at_source) == 1 and not self._is_forwarder(address):
            # A switch that forwards for others states the original sender.
            at_claimed = (
                self._devices_at(claimed_address)
                if claimed_address and claimed_address != address
                else []
            )
            return at_claimed[0] if len(at_claimed) == 1 else at_source[0]
        at_claimed = self._devices_at(claimed_address) if claimed_address else []
        if len(at_claimed) == 1 and (at_source or self._is_forwarder(address)):
            return at_claimed[0]
        if engine_id and not at_source:
            for known_address in self._engine.addresses(engine_id):
                devices = self._devices_at(known_address)
                if len(devices) == 1:
                    return devices[0]
        raise TrapRefused("unknown_source")

    def _devices_at(self, address: str) -> list[Device]:
        estate = self._estate()
        if estate is not self._known:
            self._known = estate
            self._devices = {}
            by_id = {device.id: device for device in estate.devices}
            for device in estate.devices:
                self._devices.setdefault(str(device.address), []).append(device)
            for further, id in self._config.addresses.items():
                if id in by_id:
                    self._devices.setdefault(str(further), []).append(by_id[id])
        return self._devices.get(address, [])

    def _is_forwarder(self, address: str) -> bool:
        if not self._config.forwarders:
            return False
        source = ipaddress.ip_address(address)
        return any(source in network for network in self._config.forwarders)

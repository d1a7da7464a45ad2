"""Who is let in: known secrets, from devices of the estate (`TrapSenders`).

v2c and v1 have no proof but the community and the source address; v3 has its own. A
trap is about the device that first sent it: a relay says who that was.
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
from collectors.snmp.traps.local_engine import Engine
from collectors.snmp.traps.trap_message import V1, V2C, NotATrap, Pdu, Plain
from collectors.snmp.traps.traps_config import TrapsConfig
from collectors.snmp.traps.usm import Opened, Usm, UsmRefused

# What is wrong with a message, of a closed list; each is counted apart.
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


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """A notification that is believed, and the device it is about. `opened` is v3's."""

    device: Device
    pdu: Pdu
    plain: Plain | None = None
    opened: Opened | None = None


class TrapSenders:
    """Lets notifications in. `estate` may change at any time."""

    def __init__(
        self,
        config: TrapsConfig,
        estate: Callable[[], Estate],
        credentials: Iterable[Credential],
        engine: Engine,
    ) -> None:
        held = tuple(credentials)
        self._config, self._estate = config, estate
        self._engine, self._usm = engine, Usm(held, engine)
        self._communities = {
            each.community.encode() for each in held if each.version != "3"
        }
        self._known: Estate | None = None
        self._devices: dict[str, list[Device]] = {}

    def admit(self, data: bytes, address: str, now_s: float) -> Admitted:
        """The notification in a datagram. `UsmRefused`, with a reason of `REASONS` (or
        `discovery`, which is no refusal) and perhaps something to send back."""
        try:
            version = trap_message.version_of(data)
            if version == V3:
                return self._secured(data, address, now_s)
            if version in (V1, V2C):
                return self._plain(data, address)
        except NotATrap:
            raise UsmRefused("not_a_trap") from None
        except Malformed:
            raise UsmRefused("malformed") from None
        raise UsmRefused("malformed")

    def answer(self, admitted: Admitted, now_s: float) -> bytes:
        """What an inform is answered with."""
        pdu = trap_message.answer(admitted.pdu)
        if admitted.opened is not None:
            return self._usm.answer(admitted.opened, pdu, now_s)
        plain = admitted.plain
        assert plain is not None
        return trap_message.encode_plain(plain.version, plain.community, pdu)

    def knows(self, address: str) -> bool:
        """True where something of the estate, or a relay, has that address."""
        return bool(self._at(address)) or self._relays(address)

    def _plain(self, data: bytes, address: str) -> Admitted:
        if not self.knows(address):
            raise UsmRefused("unknown_source")
        plain = trap_message.decode(data)
        if plain.community not in self._communities:
            raise UsmRefused("wrong_community")
        device = self._device(address, plain.pdu.address)
        return Admitted(device, plain.pdu, plain)

    def _secured(self, data: bytes, address: str, now_s: float) -> Admitted:
        known = self.knows(address)
        try:
            opened = self._usm.open(v3_message.decode(data), address, now_s)
        except UsmRefused as refused:
            # Strangers get no answer: nothing here is to be aimed at others.
            if not known:
                raise UsmRefused("unknown_source") from None
            raise refused
        if not known and opened.credential.auth == "none":
            raise UsmRefused("unknown_source")
        engine_id = opened.message.engine_id
        device = self._device(address, opened.pdu.address, engine_id)
        return Admitted(device, opened.pdu, opened=opened)

    def _device(self, address: str, said: str, engine_id: bytes = b"") -> Device:
        """The device that is meant: the one at `address`; behind a relay, or where
        several share an address, the one that the notification says (`said`). A device
        that sends from an address nobody wrote down is known by its engine id."""
        here = self._at(address)
        if len(here) == 1 and not self._relays(address):
            # A switch that relays for others says whom it speaks for.
            there = self._at(said) if said and said != address else []
            return there[0] if len(there) == 1 else here[0]
        there = self._at(said) if said else []
        if len(there) == 1 and (here or self._relays(address)):
            return there[0]
        if engine_id and not here:
            for heard in self._engine.addresses(engine_id):
                found = self._at(heard)
                if len(found) == 1:
                    return found[0]
        raise UsmRefused("unknown_source")

    def _at(self, address: str) -> list[Device]:
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

    def _relays(self, address: str) -> bool:
        if not self._config.forwarders:
            return False
        asked = ipaddress.ip_address(address)
        return any(asked in network for network in self._config.forwarders)

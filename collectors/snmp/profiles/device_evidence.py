"""What a device answers that decides which profiles are for it."""

from __future__ import annotations

from collectors.snmp.profiles.identity import ENTERPRISES, Identity
from collectors.snmp.profiles.profile_reader import ProfileReader
from collectors.snmp.session.octet_text import text
from collectors.snmp.session.session import Failed

# Numbers of agents that makers build in without giving them a number of their own:
# none, Net-SNMP's old and new one.
_AGENTS = {0, 2021, 8072}
_MOST_ENTERPRISES = 16
_LAST_ARC = 2**32 - 1


class DeviceEvidence:
    """Reads what the heads of profiles ask for; each OID is read once."""

    def __init__(self, reader: ProfileReader, identity: Identity) -> None:
        self._reader = reader
        self.object_id = identity.sys_object_id or ""
        # Some agents put quotation marks around their texts.
        self.descr = (identity.sys_descr or "").strip().strip("\"'").strip()

    async def read_text(self, oid: str) -> str | None:
        return text(await self._reader.read_instance(oid))

    async def holds(self, oid: str) -> bool:
        """Return True if sysObjectID says nothing about the maker, and the device has
        something below `oid`."""
        if not says_nothing(self.object_id) or not oid.startswith(ENTERPRISES):
            return False
        number = int(oid.removeprefix(ENTERPRISES).split(".")[0])
        if number not in await self.enterprises():
            return False
        if oid == f"{ENTERPRISES}{number}":
            return True
        return await self._reader.has_rows(oid)

    async def enterprises(self) -> tuple[int, ...]:
        """Return the enterprise numbers under which the device has something: a GETNEXT
        for each."""
        return await self._reader.read_once("enterprises", self._read_enterprises)

    async def _read_enterprises(self) -> tuple[int, ...]:
        numbers: list[int] = []
        snmp, tree, after = self._reader.snmp, ENTERPRISES.rstrip("."), ""
        while len(numbers) < _MOST_ENTERPRISES:
            try:
                following = await snmp.next_oid(tree, after)
            except Failed as failed:
                # Some agents do not answer at the end of their tree.
                await snmp.pass_over(tree, failed)
                break
            if not following.startswith(ENTERPRISES):
                break
            number = int(following.removeprefix(ENTERPRISES).split(".")[0])
            if numbers and number <= numbers[-1]:
                break
            numbers.append(number)
            if number == _LAST_ARC:
                break
            after = f"{ENTERPRISES}{number + 1}"
        return tuple(numbers)


def says_nothing(object_id: str) -> bool:
    """Return True if this sysObjectID names no maker."""
    first = object_id.removeprefix(ENTERPRISES).split(".")[0]
    if not object_id.startswith(ENTERPRISES) or not first.isdecimal():
        return True
    return int(first) in _AGENTS

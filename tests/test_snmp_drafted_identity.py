"""The identity of devices that only drafted tables know."""

from __future__ import annotations

from pathlib import Path

import pytest
from odd_switch import CREDENTIALS
from test_snmp_mib_tables import MAKER, SYSTEM, drafted, read

from collectors.snmp.drafting.mib_objects import MibObject


@pytest.mark.parametrize("version", ["v1", "v2c"])
async def test_the_identity_is_read_wherever_the_maker_has_it(
    tmp_path: Path, version: str
) -> None:
    objects = [
        MibObject(f"{MAKER}.{model}.{at}", f"m{model}{name}", "ACME", "scalar", "OCTET")
        for model in range(1, 9)
        for at, name in enumerate(("ModelName", "FirmwareVersion", "SerialNumber"), 1)
    ]
    short = [
        MibObject(f"{MAKER}.20.1", "acVersion", "ACME", "scalar", "OCTET"),
        MibObject(f"{MAKER}.21.1", "psuSerialNumber", "ACME", "scalar", "OCTET"),
    ]
    profile = drafted([*short, *objects])
    of_device = f"{MAKER}.7.1.0|4|X7\n{MAKER}.7.2.0|4|2.1\n{MAKER}.7.3.0|4|A1\n"
    # A short name may be of anything that has a revision, and a part is no device.
    others = f"{MAKER}.20.1.0|4|17\n{MAKER}.21.1.0|4|P1\n"
    for recorded, wanted in (
        (of_device + others, ("X7", "2.1", "A1")),
        (others, (None, None, None)),
        (f"{MAKER}.20.1.0|4|1.7\n", (None, "1.7", None)),
    ):
        facts = await read(
            tmp_path, SYSTEM + recorded, profile, credential=CREDENTIALS[version]
        )
        identity = facts.identity
        assert identity is not None
        assert (identity.hardware, identity.version, identity.serial) == wanted

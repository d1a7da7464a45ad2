"""The identity section of a draft: scalars, and columns of tables of units, whose names
say that they hold a model, a version or a serial number. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from collectors.snmp.drafting.mib_objects import MibObject, Objects
from collectors.snmp.profiles.label_severity import split_words
from collectors.snmp.session import oids
from collectors.snmp.session.octet_text import text
from collectors.snmp.session.session import Value

_FACTS = {
    "hardware": (
        r"(?i)(model|product)_?(name|number|type|id|no|descr)?$|devicemodel|"
        r"(device|unit)type$"
    ),
    "version": (
        r"(?i)(firmware|software|fw|sw|application|agent|image|runtime)_?"
        r"(ver(sion)?|rev\w*)|(system|device|product|os)_?ver(sion)?$|"
        r"(os|software)_?release$|^(?!.*hw)[a-z]{0,5}_?version$"
    ),
    "serial": r"(?i)serial_?(num(ber)?|no)?$|service_?tag$|(?-i:(?<![A-Z])SN$)",
}
# A name that says no more may be of anything that has a revision.
_SHORT_VERSION = r"(?i)[a-z]{0,5}_?version"
_DOTTED = r"'^(.*\d\.\d.*)$'"
# Words of tables whose first row is the device.
_UNITS = {"unit", "units", "chassis", "stack", "device", "system", "ident", "product"}
_OTHERS = {"boot", "bootloader", "psu", "fan", "sfp", "module", "disk", "bios", "rom"}
# Words of scalars that are of a part, of another device, or of a protocol.
_NO_DEVICE = _OTHERS | {"adapter", "alarm", "alert", "bat", "battery", "bgp", "board"}
_NO_DEVICE |= {"card", "cell", "client", "cpu", "detected", "display", "docking"}
_NO_DEVICE |= {"driver", "event", "fpga", "fru", "ip", "kernel", "keypad", "lic"}
_NO_DEVICE |= {"license", "list", "mib", "modem", "motherboard", "nic", "ntp", "onu"}
_NO_DEVICE |= {"ont", "ospf", "partner", "peer", "protocol", "reader", "rip", "sensor"}
_NO_DEVICE |= {"slave", "snmp", "snoop", "spec", "ssh", "ssl", "subject", "tls", "trap"}
_NO_DEVICE |= {"upgrade", "usb", "vendor"}
# A maker names each of its models' objects; which of them a device has is known from
# its tables, mostly.
_MOST_SOURCES = 60


def identity_lines(
    objects: Objects, values: Mapping[str, Mapping[str, Value]] | None
) -> Iterator[str]:
    """Yield the lines of the section; scalars come before columns."""
    sources: dict[str, list[str]] = {}
    texts = (o for o in objects.values() if o.kind in ("scalar", "column"))
    for each in sorted(texts, key=lambda o: (o.kind == "column", oids.parts(o.oid))):
        if each.labels or not _is_there(each, objects, values):
            continue
        for fact, pattern in _FACTS.items():
            if re.search(pattern, each.name):
                known = sources.setdefault(fact, [])
                if len(known) < _MOST_SOURCES:
                    place = f"oid: {each.oid}.0"
                    if each.kind == "column":
                        place = f"column: {each.oid}"
                    if re.fullmatch(_SHORT_VERSION, each.name):
                        place += f", find: {_DOTTED}"
                    known.append(f"    - {{{place}}}")
                break
    if sources:
        yield "identity:"
        for fact in _FACTS:
            if sources.get(fact):
                yield f"  {fact}:"
                yield from sources[fact]
        yield ""


def _is_there(
    mib_object: MibObject,
    objects: Objects,
    values: Mapping[str, Mapping[str, Value]] | None,
) -> bool:
    if mib_object.kind == "column":
        holder = objects.get(mib_object.table.rpartition(".")[0])
        words = {*split_words(mib_object.name)}
        table_words = words | {*split_words(holder.name if holder else "")}
        is_of_device = bool(table_words & _UNITS) and not table_words & _OTHERS
        if not is_of_device or "STRING" not in mib_object.syntax:
            return False
    elif _NO_DEVICE & {*split_words(mib_object.name)}:
        return False
    if values is None:
        return True
    cells = values.get(mib_object.oid, {})
    wanted = cells.values() if mib_object.kind == "column" else [cells.get("0")]
    return any((text(value) or "").strip() for value in wanted)

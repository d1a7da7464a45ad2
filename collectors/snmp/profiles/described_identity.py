"""Model, version and serial number in a sysDescr, by their shape. Pure.

For devices that no profile knows: makers have no common format, but they label
versions, and their model numbers mix letters and digits. What is not certain gives
nothing. Linux and BSD describe their kernel instead, so they give nothing.
"""

from __future__ import annotations

import re

import msgspec

from collectors.snmp.tables.entities import without_placeholder
from collectors.snmp.tables.vendors import VENDORS

_KERNELS = re.compile(r"(linux|freebsd|openbsd|netbsd|darwin|sunos|windows)\b", re.I)
_NUMBER = r"[vV]?\d[\d.]*\.[\w.()\[\]-]*[\w)\]]|[A-Z]{1,3}\w*\.[\w.]*\d\w*"
# Before a version: what has another version than the software.
_OTHERS = re.compile(
    r"(boot\w*|btldr|rom|hardware|h/w|hw|kernel|linux|operating system|protocol|snmp|"
    r"cpld|library|java|openssl|mib|bios|fpga|rootfs|uboot|devicetree)[\s:,.]*"
    r"(code|rom|loader|version|ver|rev\w*)?[\s:,.v]*",
    re.IGNORECASE,
)
_VERSION_LABEL = re.compile(
    r"(?<![\w/])(?P<label>version|vers?\.?|revision|release|s/?w|software|AF1|App\.?|"
    r"f/?w|firmware)(?![\w/])[\s:.#=]*(?:version|ver\.?|v\.?(?=\d))?[\s:.#=]*"
    rf"(?P<number>{_NUMBER})",
    re.IGNORECASE,
)
_FIRMWARE = ("fw", "f/w", "firmware")
# v4.2.4 after any word, or three numbers and more without a label.
_PLAIN_VERSION = re.compile(
    r"(?<![\w.])([vV]\d+\.\d[\w.()-]*\w|(?:[A-Z]{2}\.)?\d+\.\d+\.\d+[\w.()-]*)(?![\w.])"
)
_BEFORE = 40
_LABELLED_MODEL = re.compile(
    r"(?<!\w)(?:model(?: ?name| ?number| ?no\.?)?|product|prod|system type|series)"
    r"\s*[:=]\s*(\w[\w./+ -]*?)(?=\s*(?:[,;()\n\r]|$|\s\w+:|copyright|serial))",
    re.IGNORECASE,
)
_SERIAL = re.compile(
    r"(?<!\w)(?:S/?N|serial ?(?:number|no\.?|nr\.?))\s*[:#=]\s*([A-Z0-9-]{5,})",
    re.IGNORECASE,
)
# Parts of a text that have words with letters and digits, but no model: names of
# images, lists of what a management card is, revisions, and what a range is called.
_NO_MODELS = re.compile(
    r"software\s*\([^)]*\)|\([^)]*:[^)]*\)|[\w-]+ (?=software\b|series\b)|"
    r"(?<!\w)(hw|h/w|hr|s/?n|fn|rev|build|bootcode|bn|id)\b\s*[:=#.]?\s*\S+",
    re.IGNORECASE,
)
_WORD = re.compile(r"[\w+./-]*[\w+]")
# Words with letters and digits that are speeds, ports, standards, processors, dates.
_NO_MODEL = re.compile(
    r"\d+([./]\d+)*(ge?|gb?e?|m|mb?|t|k|x|w|v|u|h|port\w*|-ports?|-bit|bit|base\w*|"
    r"a[cx]?|n|ah?|va|kva|hz|[sc]fp\+?)|\d+x\d+\w*|(1?000?|10/100\w*)base\w*|"
    r"(i[3-6]|x)86(_64)?|amd64|arm\w*|mips\w*|ppc\w*|cortex\w*|ipv?[46]|0x\w+|"
    r"v\d[\w.]*|r\d{1,2}|802\.\w+|l[23]\+?|ws?\d|utf-?8|snmpv\w*|mib-?2|"
    r"(jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)\w*[\d-].*|"
    r"\d+(st|nd|rd|th)|\d\d+-\w{3}-\d\d+.*|(rs|usb|tcp|udp|sha|md)-?\d+\w*|java\d.*|"
    r"(ver|version|rev|hw|fw|sw|os|rom)\.?\d*|.*\d\.\d.*|.*\d{8}.*|(\w+-){5}.*|"
    r"(ac|ax|dvb|vdsl|g)\d*([-/]\w+)+|ac\d{3,4}|.*\.(bin|img)",
    re.IGNORECASE,
)
# Some makers' names have digits, too.
_MAKERS = frozenset(VENDORS.values())
_LONGEST = 40
_MOST_WORDS = 5


class DescribedIdentity(msgspec.Struct, frozen=True):
    """None: the text does not say it for certain."""

    hardware: str | None = None
    version: str | None = None
    serial: str | None = None


def read_description(descr: str | None) -> DescribedIdentity:
    """Return what a sysDescr states about the device."""
    plain = (descr or "").strip("\"' ;,\r\n\t")
    if not plain or _KERNELS.match(plain):
        return DescribedIdentity()
    # A card has a number of its own, and is not the device.
    serial = None if re.search(r"(?i)\bcard\b", plain) else _SERIAL.search(plain)
    return DescribedIdentity(
        _find_model(plain),
        _find_version(plain),
        without_placeholder(serial[1]) if serial else None,
    )


def _find_version(descr: str) -> str | None:
    labelled = [
        found
        for found in _VERSION_LABEL.finditer(descr)
        if not _is_other(descr, found.start("number"))
    ]
    # Of a device that names both, the software is what people update.
    labelled.sort(key=lambda found: found["label"].lower() in _FIRMWARE)
    if labelled:
        return str(labelled[0]["number"]).lstrip("vV")
    plain = {
        found[1].lstrip("vV")
        for found in _PLAIN_VERSION.finditer(descr)
        if not _is_other(descr, found.start())
    }
    return plain.pop() if len(plain) == 1 else None


def _is_other(descr: str, at: int) -> bool:
    """Return True if what stands before this place has a version of its own."""
    before = descr[max(0, at - _BEFORE) : at]
    return any(found.end() == len(before) for found in _OTHERS.finditer(before))


def _find_model(descr: str) -> str | None:
    labelled = _LABELLED_MODEL.search(descr)
    if labelled is not None and re.search(r"\d", labelled[1]):
        return labelled[1].strip()[:_LONGEST]
    # Models come before versions, builds and copyrights.
    first = re.split(r"(?i)[\n\r]|\b(?:version|copyright|built|compiled)\b", descr)[0]
    words = _WORD.findall(_NO_MODELS.sub(" ", first))
    model = next((word for word in words if _is_model(word)), None)
    return model or _short_name(descr)


def _short_name(descr: str) -> str | None:
    """Return a text that is a name of few words with a number, such as Netman 204."""
    clause = re.split(r"[,;(\[\n\r]|\s[vV]?\d+\.\d", descr)[0].strip()
    words = clause.split()
    numbered = [w for w in words[-2:] if re.search(r"\d", w) and len(w) > 1]
    is_short = 2 <= len(words) <= _MOST_WORDS and len(clause) <= _LONGEST
    if not is_short or not numbered or any(map(_NO_MODEL.fullmatch, numbered)):
        return None
    return clause


def _is_model(word: str) -> bool:
    return (
        3 <= len(word) <= _LONGEST
        and re.search(r"\d", word) is not None
        and re.search(r"[A-Z]", word) is not None
        and _NO_MODEL.fullmatch(word) is None
        and word.lower() not in _MAKERS
    )

"""Reads MIB modules (SMIv1 and SMIv2): names, OIDs, types, enumerations and units.

Makers' files break the rules of SMI, so this reads what a draft needs and steps over
the rest; nothing in a file can stop it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from collectors.snmp.drafting.mib_objects import FactsError, MibObject

_SUFFIXES = {".mib", ".my", ".txt", ".smi", ".asn1", ""}
_MOST_BYTES = 8_000_000
# A quoted text, or a comment to the end of its line or to the next two dashes.
_STRINGS = re.compile(r'"[^"]*"|--[^\n]*?(?:--|(?=\n)|$)', re.DOTALL)
_MODULE = re.compile(
    r"([A-Z][\w-]*)\s+(?:\{[^}]*\}\s*)?DEFINITIONS\b.*?::=\s*BEGIN", re.S
)
_OID = r"::=\s*\{([^}]*)\}"
_NODE = re.compile(
    r"\b([a-z][\w-]*)\s+(?:OBJECT\s+IDENTIFIER|MODULE-IDENTITY\b.{0,20000}?|"
    r"OBJECT-IDENTITY\b.{0,4000}?)\s*" + _OID,
    re.DOTALL,
)
_OBJECT = re.compile(
    r"\b([a-z][\w-]*)\s+OBJECT-TYPE\s+(SYNTAX\b.{0,20000}?)" + _OID, re.DOTALL
)
_CONVENTION = re.compile(
    r"\b([A-Z][\w-]*)\s*::=\s*TEXTUAL-CONVENTION\b(.{0,8000}?)\bSYNTAX\s+"
    r"([A-Za-z][\w-]*(?:\s+STRING|\s+IDENTIFIER)?)\s*(\{[^}]*\})?",
    re.DOTALL,
)
_SYNTAX = re.compile(
    r"SYNTAX\s+(SEQUENCE\s+OF\s+[\w-]+|[A-Za-z][\w-]*(?:\s+STRING|\s+IDENTIFIER)?)"
    r"\s*(\{[^}]*\})?"
)
_LABEL = re.compile(r"([A-Za-z][\w-]*)\s*\(\s*(-?\d+)\s*\)")
_SUB_ID = re.compile(r"([A-Za-z][\w.-]*)(?:\s*\(\s*(\d+)\s*\))?|(\d+)")
_ROOTS = {
    "iso": "1",
    "org": "1.3",
    "dod": "1.3.6",
    "internet": "1.3.6.1",
    "mgmt": "1.3.6.1.2",
    "mib-2": "1.3.6.1.2.1",
    "experimental": "1.3.6.1.3",
    "private": "1.3.6.1.4",
    "enterprises": "1.3.6.1.4.1",
    "snmpV2": "1.3.6.1.6",
    "snmpModules": "1.3.6.1.6.3",
}
_BASE_TYPES = {
    "INTEGER",
    "Integer32",
    "Unsigned32",
    "Gauge32",
    "Gauge",
    "Counter",
    "Counter32",
    "Counter64",
    "TimeTicks",
    "IpAddress",
    "BITS",
    "OCTET STRING",
    "OBJECT IDENTIFIER",
}
_PLAIN = {"Gauge": "Gauge32", "Counter": "Counter32"}


def read_mibs(path: Path) -> dict[str, MibObject]:
    """Return the objects of a MIB file, or of all MIB files in a folder, by OID."""
    files = [path]
    if path.is_dir():
        files = sorted(f for f in path.rglob("*") if f.suffix.lower() in _SUFFIXES)
    texts = []
    for file in files:
        try:
            if file.is_file() and file.stat().st_size <= _MOST_BYTES:
                texts.append(file.read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            raise FactsError(f"{file}: {error.strerror}") from None
    return parse_mibs(texts)


def parse_mibs(texts: Iterable[str]) -> dict[str, MibObject]:
    """Return the objects of MIB modules, by OID. Pure."""
    parents: dict[str, str] = {}
    objects: dict[str, MibObject] = {}
    conventions: dict[str, tuple[str, str]] = {}
    for text in texts:
        plain, strings = _take_strings(text)
        header = _MODULE.search(plain)
        module = header[1] if header else ""
        conventions |= {c[1]: (c[3], c[4] or "") for c in _CONVENTION.finditer(plain)}
        for node in _NODE.finditer(plain):
            parents.setdefault(node[1], node[2])
        for found in _OBJECT.finditer(plain):
            parents.setdefault(found[1], found[3])
            objects.setdefault(
                found[1], _to_object(found[1], module, found[2], strings)
            )
    resolved: dict[str, MibObject] = {}
    entries = {name for name, each in objects.items() if each.kind == "entry"}
    for name, each in objects.items():
        oid = _resolve(name, parents)
        if oid is None or each.kind == "entry":
            continue
        kind = each.kind
        if kind == "scalar" and _parent_name(parents[name]) in entries:
            kind = "column"
        syntax = _with_convention(each.syntax, conventions)
        resolved[oid] = msgspec.structs.replace(each, oid=oid, kind=kind, syntax=syntax)
    for name in entries:
        oid = _resolve(name, parents)
        table = None if oid is None else resolved.get(oid.rpartition(".")[0])
        if table is not None:
            index = objects[name].index
            resolved[table.oid] = msgspec.structs.replace(table, index=index)
    return resolved


def _take_strings(text: str) -> tuple[str, list[str]]:
    """Return the module with numbers for its texts and without comments, and the
    texts."""
    strings: list[str] = []

    def replace(found: re.Match[str]) -> str:
        if not found[0].startswith('"'):
            return " "
        strings.append(found[0][1:-1])
        return f'"{len(strings) - 1}"'

    return _STRINGS.sub(replace, text), strings


def _to_object(
    name: str, module: str, clauses: str, strings: Sequence[str]
) -> MibObject:
    syntax = _SYNTAX.match(clauses)
    type_, labels = ("", "") if syntax is None else (syntax[1], syntax[2] or "")
    if type_.startswith("SEQUENCE"):
        kind = "table"
    elif re.search(r"\b(INDEX|AUGMENTS)\s*\{", clauses):
        kind = "entry"
    else:
        kind = "scalar"
    index = re.search(r"\bINDEX\s*\{([^}]*)\}", clauses)
    indexes = re.sub(r"\bIMPLIED\b|\s", "", index[1]) if index else ""
    units = _text(clauses, "UNITS", strings)
    hint = _hint(_text(clauses, "DESCRIPTION", strings))
    listed = " ".join([" ".join(type_.split()), *_labels(labels)])
    return MibObject("", name, module, kind, listed, units, hint, indexes)


def _text(clauses: str, key: str, strings: Sequence[str]) -> str:
    found = re.search(rf'\b{key}\s*"(\d+)"', clauses)
    return " ".join(strings[int(found[1])].split()) if found else ""


def _labels(braces: str) -> Iterator[str]:
    for label, number in _LABEL.findall(braces):
        yield f"{number}={label}"


def _hint(description: str) -> str:
    """Return the unit and the scale that a description names, if each is only one."""
    plain = description.lower()
    units = {
        unit
        for unit, pattern in (
            ("celsius", r"celsius|centigrade|°c"),
            ("fahrenheit", "fahrenheit"),
            ("kilovolt-amp", r"kilo-?volt-?amp|\bkva\b"),
            ("volt-amp", r"(?<!kilo)(?<!kilo-)volt-?amp|\bva\b"),
            ("kilowatt", r"(kilo-?watts?|\bkw)\b(?![- ]?h)"),
            ("volt", r"\bvolts?\b(?!-amp)"),
            ("amp", r"(?<!volt-)\bamp(ere)?s?\b"),
            ("watt", r"\bwatts?\b(?![- ]?h)"),
            ("hertz", r"hertz|\bhz\b"),
            ("dbm", r"\bdbm\b"),
            ("rpm", r"\brpm\b|revolutions"),
            ("percent", r"percent|%"),
        )
        if re.search(pattern, plain)
    }
    scales = {
        scale
        for scale, pattern in (
            ("0.1", r"tenths?\b|\b0\.1\b|\b1/10\b"),
            ("0.01", r"hundredths?\b|\b0\.01\b|\b1/100\b"),
            ("0.001", r"thousandths?\b|\b0\.001\b|\bmilli"),
        )
        if re.search(pattern, plain)
    }
    words = [f"scale={next(iter(scales))}"] if len(scales) == 1 else []
    if units:
        words.append(f"unit={'|'.join(sorted(units))}")
    return " ".join(words)


def _with_convention(syntax: str, conventions: dict[str, tuple[str, str]]) -> str:
    """Return `syntax` with a textual convention replaced by its base type."""
    type_, _, rest = syntax.partition(" ")
    if syntax.startswith(("OCTET STRING", "OBJECT IDENTIFIER")):
        return syntax
    convention, seen = "", set()
    while type_ not in _BASE_TYPES and type_ in conventions and type_ not in seen:
        seen.add(type_)
        convention = convention or type_
        base, braces = conventions[type_]
        type_, rest = " ".join(base.split()), rest or " ".join(_labels(braces))
    if type_ == "DisplayString":
        type_, convention = "OCTET STRING", "DisplayString"
    type_ = _PLAIN.get(type_, type_)
    named = f"{type_}:{convention}" if convention and not rest else type_
    return f"{named} {rest}".strip()


def _parent_name(path: str) -> str:
    return path.split()[0].split("(")[0] if path.split() else ""


def _resolve(name: str, parents: dict[str, str]) -> str | None:
    """Return the OID of `name`; None if a parent is not known."""
    arcs: list[str] = []
    seen: set[str] = set()
    while name not in _ROOTS:
        path = parents.get(name)
        if path is None or name in seen:
            return None
        seen.add(name)
        words = _SUB_ID.findall(path)
        # Arcs are numbers, or names with their number in brackets.
        numbers = [inner or number for _, inner, number in words[1:]]
        if not words or not all(numbers):
            return None
        arcs = numbers + arcs
        first, _, number = words[0]
        if not first:
            return ".".join([number, *arcs])
        name = first.rpartition(".")[2]
    return ".".join([_ROOTS[name], *arcs])

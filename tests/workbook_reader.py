"""Reads a workbook (XLSX) as far as the tests of reports need it."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass, field
from xml.etree import ElementTree

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@dataclass
class Sheet:
    """`cells`: by reference (`B2`), a text, a number, or None if it is empty.
    `formats`: the number format of each."""

    name: str
    xml: str
    cells: dict[str, str | float] = field(default_factory=dict)
    formats: dict[str, str] = field(default_factory=dict)

    def column(self, header: str) -> str:
        """The letters of the column with that header."""
        return next(
            re.sub(r"\d", "", at)
            for at, cell in self.cells.items()
            if at.endswith("1") and re.fullmatch(r"[A-Z]+1", at) and cell == header
        )


def sheets(content: bytes) -> dict[str, Sheet]:
    """The sheets by name, in order."""
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        names = packed.namelist()
        texts = _shared(packed) if "xl/sharedStrings.xml" in names else []
        formats = _formats(ElementTree.fromstring(packed.read("xl/styles.xml")))
        book = ElementTree.fromstring(packed.read("xl/workbook.xml"))
        found = {}
        for n, element in enumerate(book.iter(f"{_MAIN}sheet"), 1):
            xml = packed.read(f"xl/worksheets/sheet{n}.xml").decode()
            sheet = Sheet(element.attrib["name"], xml)
            for cell in ElementTree.fromstring(xml).iter(f"{_MAIN}c"):
                value = cell.find(f"{_MAIN}v")
                if value is None or value.text is None:
                    continue
                at = cell.attrib["r"]
                is_text = cell.attrib.get("t") == "s"
                sheet.cells[at] = (
                    texts[int(value.text)] if is_text else float(value.text)
                )
                sheet.formats[at] = formats[int(cell.attrib.get("s", 0))]
            found[sheet.name] = sheet
    return found


def _shared(packed: zipfile.ZipFile) -> list[str]:
    root = ElementTree.fromstring(packed.read("xl/sharedStrings.xml"))
    return [
        "".join(text.text or "" for text in item.iter(f"{_MAIN}t"))
        for item in root.iter(f"{_MAIN}si")
    ]


def _formats(styles: ElementTree.Element) -> list[str]:
    """The number format of each style: its own text, or the number of a known one."""
    own = {
        element.attrib["numFmtId"]: element.attrib["formatCode"]
        for element in styles.iter(f"{_MAIN}numFmt")
    }
    cells = styles.find(f"{_MAIN}cellXfs")
    assert cells is not None
    return [own.get(xf.attrib["numFmtId"], xf.attrib["numFmtId"]) for xf in cells]

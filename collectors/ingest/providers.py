"""Looks up the provider of an agent's network in an offline table of prefixes.

The address is used for the look-up only: it is neither stored nor logged.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from ipaddress import ip_network
from pathlib import Path

from collectors.config_errors import encoding_error
from collectors.ip_networks import Network, NetworkTable, parse_address

UNKNOWN = "unknown"


class ProvidersRefused(ValueError):
    """The table cannot be used. The text names every line with an error."""


class Providers:
    """The providers of prefixes."""

    def __init__(self, entries: Iterable[tuple[Network, str]] = ()) -> None:
        self._table = NetworkTable(entries)

    @classmethod
    def read(cls, path: Path) -> Providers:
        """Reads a CSV file of `prefix,provider`. Skips a header line, empty lines and
        lines beginning with #. Raises `ProvidersRefused`."""
        entries: list[tuple[Network, str]] = []
        faults: list[str] = []
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except OSError as error:
            raise ProvidersRefused(
                f"ingest.providers: {path}: cannot be read: {error.strerror}"
            ) from None
        except UnicodeDecodeError as error:
            raise ProvidersRefused(f"{path}:{encoding_error(error)}") from None
        for number, row in enumerate(csv.reader(lines), 1):
            cells = [cell.strip() for cell in row]
            if not any(cells) or cells[0].startswith("#"):
                continue
            if number == 1 and cells[0].lower() == "prefix":
                continue
            try:
                prefix, provider = cells
                network = ip_network(prefix)
            except ValueError:
                faults.append(
                    f"{path}:{number}: {','.join(row)!r}, expected prefix,provider "
                    "such as 192.0.2.0/24,Example Telecom"
                )
                continue
            entries.append((network, provider or UNKNOWN))
        if faults:
            raise ProvidersRefused("; ".join(faults[:20]))
        return cls(entries)

    def look_up(self, address: str) -> str:
        """The provider of that address; `unknown` if the table has none."""
        parsed = parse_address(address)
        if parsed is None:
            return UNKNOWN
        return self._table.look_up(parsed) or UNKNOWN

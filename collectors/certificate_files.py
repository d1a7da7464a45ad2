"""`CertificateFiles`: the days until the certificates of Towpath's settings expire.

A file may have several. A server's has those between its own and the authority: the
first to expire counts, as laptops check them all. Of a file of authorities the last
counts, since any of them may be the one in use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from probes.wire.sample import Sample, Value

if TYPE_CHECKING:
    from cryptography import x509

_DAY_S = 86_400


class CertificateFile(NamedTuple):
    """A PEM file. `is_authority`: whom Towpath trusts, not what it shows. `expires_s`
    reads a file of another kind: when what it has expires, or None if never; it raises
    `ValueError` if that cannot be read."""

    path: Path
    is_authority: bool = False
    expires_s: Callable[[Path], int | None] | None = None


class CertificateFiles:
    """`files`: setting → file, read anew each time: it may have been renewed."""

    def __init__(self, files: Mapping[str, CertificateFile], process: str) -> None:
        self._files, self._process = files, process

    def samples(self, now_ms: int) -> list[Sample]:
        """Rows of `self_certificate`, one for each file."""
        return [
            Sample(
                "self_certificate",
                {"process": self._process, "setting": setting},
                {"file": str(file.path), **_fields(file, now_ms)},
                now_ms,
            )
            for setting, file in self._files.items()
        ]


def days_left(certificate: x509.Certificate, now_ms: int) -> float:
    """Days until it expires; below zero after that."""
    return _days_until(certificate.not_valid_after_utc.timestamp(), now_ms)


def _days_until(expires_s: float, now_ms: int) -> float:
    return (expires_s - now_ms / 1000) / _DAY_S


def _fields(file: CertificateFile, now_ms: int) -> dict[str, Value]:
    if file.expires_s is not None:
        try:
            expires_s = file.expires_s(file.path)
        except ValueError:
            return {"readable": 0}
        if expires_s is None:
            return {"readable": 1}
        return {"readable": 1, "certificate_days": _days_until(expires_s, now_ms)}
    # Only here: a command that reads the settings needs no certificate.
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificates(file.path.read_bytes())
    except (OSError, ValueError):
        return {"readable": 0}
    days = [days_left(each, now_ms) for each in found]
    counts = max if file.is_authority else min
    return {"readable": 1, "certificate_days": counts(days)}

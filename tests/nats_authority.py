"""A certificate authority for nats-servers of tests and their clients."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Its own certificate is `file`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = self.issue("ca")[0]

    def issue(
        self, name: str, days: int = 30, host: str = "127.0.0.1"
    ) -> tuple[Path, Path]:
        """The files of a new certificate and its key; with -1 `days` it has expired."""
        is_own = name == "ca"
        key = self._key if is_own else ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        alternative: x509.GeneralName = x509.DNSName(host)
        if host[0].isdigit():
            alternative = x509.IPAddress(ip_address(host))
        built = (
            x509.CertificateBuilder()
            .subject_name(_named(self._name if is_own else name))
            .issuer_name(_named(self._name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(is_own, None), True)
            .add_extension(x509.SubjectAlternativeName([alternative]), False)
            .sign(self._key, hashes.SHA256())
        )
        certificate = self._folder / f"{self._name}-{name}.pem"
        certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
        private_key = self._folder / f"{self._name}-{name}.key"
        private_key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        private_key.chmod(0o600)
        return certificate, private_key


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

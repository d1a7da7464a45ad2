"""When the certificates of Towpath's own settings expire is known in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from collectors.certificate_files import CertificateFile, CertificateFiles
from collectors.ingest.certificate import make_certificates
from probes.wire.sample import Value
from towpath.config import ROLES, Role, TowpathConfig, certificate_files, read

NOW = datetime(2026, 11, 29, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def certificate(days: float) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{days} days")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + timedelta(days=days))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def fields(path: Path, is_authority: bool = False) -> dict[str, Value]:
    files = {"ingest.https.certificate": CertificateFile(path, is_authority)}
    [sample] = CertificateFiles(files, "all").samples(NOW_MS)
    assert sample.tags == {"process": "all", "setting": "ingest.https.certificate"}
    assert sample.fields["file"] == str(path)
    return dict(sample.fields)


def test_of_a_chain_the_first_to_expire_counts_and_of_authorities_the_last(
    tmp_path: Path,
) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(certificate(80) + certificate(10) + certificate(3000))
    assert fields(path)["certificate_days"] == pytest.approx(10)
    assert fields(path, is_authority=True)["certificate_days"] == pytest.approx(3000)


def test_an_expired_certificate_has_days_below_zero(tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(certificate(-2))
    assert fields(path) == {
        "file": str(path),
        "readable": 1,
        "certificate_days": pytest.approx(-2),
    }


def test_a_renewed_file_counts_at_once(tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(certificate(5))
    files = CertificateFiles({"store.ca_file": CertificateFile(path)}, "store")
    assert files.samples(NOW_MS)[0].fields["certificate_days"] == pytest.approx(5)
    path.write_bytes(certificate(90))
    assert files.samples(NOW_MS)[0].fields["certificate_days"] == pytest.approx(90)


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAA\n"])
def test_a_file_without_a_certificate_is_unreadable_and_hides_no_other(
    content: bytes | None, tmp_path: Path
) -> None:
    bad, good = tmp_path / "bad.pem", tmp_path / "good.pem"
    if content is not None:
        bad.write_bytes(content)
    good.write_bytes(certificate(90))
    files = {"one": CertificateFile(bad), "two": CertificateFile(good)}
    first, second = CertificateFiles(files, "all").samples(NOW_MS)
    assert first.fields == {"readable": 0, "file": str(bad)}
    assert second.fields["certificate_days"] == pytest.approx(90)


def test_each_role_watches_the_certificates_that_it_uses(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "tls")
    estate = tmp_path / "estate.toml"
    estate.write_text("")
    settings = tmp_path / "towpath.toml"
    settings.write_text(
        f"""
        estate = "{estate}"
        [vpn_gateways]
        ca_file = "{made.authority}"
        [ingest.https]
        certificate = "{made.certificate}"
        private_key = "{made.private_key}"
        [ingest.mqtt]
        ca_file = "{made.authority}"
        [ingest.dmz_nodes.outside]
        ca_file = "{made.authority}"
        certificate = "{made.certificate}"
        private_key = "{made.private_key}"
        [ingest.site_nodes.depot]
        certificate = "{made.certificate}"
        private_key = "{made.private_key}"
        credentials_file = "{tmp_path}/depot.creds"
        """
    )
    config = read(settings)
    assert set(certificate_files(config, ROLES)) == {
        "ingest.dmz_nodes.outside.ca_file",
        "ingest.dmz_nodes.outside.certificate",
        "ingest.site_nodes.depot.certificate",
        "ingest.site_nodes.depot.credentials_file",
        "ingest.https.certificate",
        "ingest.mqtt.ca_file",
        "vpn_gateways.ca_file",
    }
    assert set(certificate_files(config, ["poll"])) == {"vpn_gateways.ca_file"}
    nothing: list[Role] = ["alert", "web"]
    assert certificate_files(config, nothing) == {}


def test_every_authority_that_is_set_is_watched_by_the_role_that_uses_it() -> None:
    nats = {"servers": ["tls://n:4222"], "ca_file": "a", "certificate": "c"}
    nats["private_key"] = "k"
    config = TowpathConfig.model_validate(
        {
            "nats": nats,
            "ingest": {"dmz_nodes": {"out": nats}, "site_nodes": {"depot": nats}},
            "alerts": {
                "channels": {
                    "hook": {"kind": "webhook", "url": "https://h", "ca_file": "a"}
                }
            },
            "calls": {"ca_file": "a"},
            "grafana": {"ca_file": "a"},
        }
    )
    watched = {role: set(certificate_files(config, [role])) for role in ROLES}
    of_all = {"nats.ca_file", "nats.certificate"}
    assert watched.pop("ingest") - of_all == {
        "ingest.dmz_nodes.out.ca_file",
        "ingest.dmz_nodes.out.certificate",
        "ingest.site_nodes.depot.ca_file",
        "ingest.site_nodes.depot.certificate",
    }
    assert watched.pop("alert") - of_all == {"alerts.channels.hook.ca_file"}
    # Calls are not enabled, and no role pushes boards to Grafana.
    assert all(names == of_all for names in watched.values())

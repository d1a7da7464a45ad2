"""Sentences about certificates that are not trusted, and the names in certificates."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import truststore
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from one_answer import serving
from signed_in_proxy import certified

from collectors.ingest.certificate import make_certificates
from probes.agent.certificate_words import certificate_error, certificate_sentence
from probes.agent.shown_certificate import ShownCertificate, names_in
from probes.measure.tcp_connection import connect_first, look_up, start_tls
from probes.wire.failure import Outcome
from probes.wire.socket_errors import is_out_of_time, outcome_of

NOON_S = datetime(2028, 11, 29, 12, 0, tzinfo=UTC).timestamp()


def untrusted(code: int, text: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, text)
    error.verify_code, error.verify_message = code, text
    return error


def certificate(*attributes: tuple[x509.ObjectIdentifier, str]) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(kind, text) for kind, text in attributes])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        (((NameOID.COMMON_NAME, "Tŷ Mawr filter"),), "Tŷ Mawr filter"),
        (((NameOID.ORGANIZATION_NAME, "Wrenford"),), "Wrenford"),
        (
            ((NameOID.ORGANIZATION_NAME, "Wrenford"), (NameOID.COMMON_NAME, "CA 1")),
            "CA 1",
        ),
        (((NameOID.COUNTRY_NAME, "GB"),), ""),
        ((), ""),
    ],
)
def test_the_names_in_a_certificate_are_read(
    attributes: tuple[tuple[x509.ObjectIdentifier, str], ...], name: str
) -> None:
    assert names_in(certificate(*attributes)) == (name, name)


def test_issuer_and_subject_are_told_apart(tmp_path: Path) -> None:
    made = make_certificates(tmp_path, ("towpath.council.example",))
    text = made.certificate.read_text()
    found = x509.load_pem_x509_certificate(text.encode())
    issuer, subject = names_in(ssl.PEM_cert_to_DER_cert(text))
    named = found.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert issuer == named[0].value
    assert subject != issuer


GOOD = certificate((NameOID.COMMON_NAME, "CA"))


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading_of_names(content: bytes) -> None:
    names_in(content)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_no_changed_certificate_breaks_it(at: int, octet: int) -> None:
    changed = bytearray(GOOD)
    changed[at] = octet
    for name in (*names_in(bytes(changed)), *names_in(bytes(changed[:at]))):
        assert name.isprintable()
        assert len(name) <= 80


@pytest.mark.parametrize(
    ("code", "outcome", "out_of_time"),
    [
        (9, Outcome.CLOCK_WRONG, True),
        (-67_819, Outcome.CLOCK_WRONG, True),
        (10, Outcome.TLS_FAILED, True),
        (-67_818, Outcome.TLS_FAILED, True),
        # Windows has one number for both.
        (0x800B0101, Outcome.TLS_FAILED, True),
        (18, Outcome.TLS_FAILED, False),
        (62, Outcome.TLS_FAILED, False),
    ],
)
def test_a_wrong_clock_is_recognised_on_every_system(
    code: int, outcome: Outcome, out_of_time: bool
) -> None:
    error = untrusted(code, "nicht vertrauenswürdig.")
    why = (
        "nicht vertrauenswürdig"
        if code < 99
        else "it is not valid by this laptop's clock"
    )
    assert (outcome_of(error), is_out_of_time(error)) == (outcome, out_of_time)
    said = certificate_sentence(error, NOON_S, None)
    asked = (
        "; this laptop's clock says 29 November 2028, 12:00 UTC: is this laptop's "
        "clock right?"
    )
    assert said == (
        f"has a certificate that is not trusted: {why}" + (asked if out_of_time else "")
    )


@pytest.mark.parametrize(
    ("shown", "end"),
    [
        (ShownCertificate("CA", "x", 200), "; it was issued by 'CA' for 'x'"),
        (ShownCertificate(), ""),
        (
            ShownCertificate("CA", "", 504),
            "; it was issued by 'CA'; a proxy on the way opens encrypted connections "
            "and cannot reach the server (HTTP 504)",
        ),
        (
            ShownCertificate("CA", "", 401, "p"),
            "; it was issued by 'CA'; the proxy 'p' on the way opens encrypted "
            "connections: let this server through unopened, or have laptops trust its "
            "authority",
        ),
    ],
)
def test_what_answers_instead_is_named(shown: ShownCertificate, end: str) -> None:
    error = untrusted(62, "Hostname\nmismatch")
    assert certificate_sentence(error, NOON_S, shown) == (
        f"has a certificate that is not trusted: Hostname mismatch{end}"
    )


def test_the_error_is_found_behind_those_of_libraries() -> None:
    inner, outer = untrusted(10, "x"), OSError("connection failed")
    outer.__context__ = RuntimeError("of a library")
    outer.__context__.__cause__ = inner
    assert certificate_error(outer) is inner
    assert certificate_error(OSError("x")) is None
    loop = ValueError("a")
    loop.__cause__ = loop
    assert certificate_error(loop) is None


async def test_the_systems_own_trust_gets_the_name_as_text(tmp_path: Path) -> None:
    """Windows and macOS check the name themselves, and take no octets."""
    name, tls, authority = certified(tmp_path / "tls")
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority)
    async with serving(b"", tls, host=name) as port:
        _, writer = await connect_first(await look_up(name, port))
        await start_tls(writer, context, name)
        assert writer.get_extra_info("ssl_object").server_hostname == name
        writer.transport.abort()

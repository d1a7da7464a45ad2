"""A reflector for the ndt7 tests: its settings, a certificate, and reading a test."""

import asyncio
import datetime
import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.exceptions import ConnectionClosed

from collectors.reflector import ReflectorConfig
from probes.wire import ndt7

QUICK = {"now_ms": lambda: 5, "budget_bytes": 50_000_000, "seconds": 1.0}
OFFER = {"subprotocols": [ndt7.SUBPROTOCOL], "compression": None, "max_size": 2**24}


def config(**more):
    defaults = {"addresses": ("127.0.0.1",), "stamp_port": 0, "web_port": 0}
    defaults |= {"access": "open", "tests_bps": 1e12}
    return ReflectorConfig(**(defaults | more))


def base(reflector, scheme="ws"):
    return f"{scheme}://127.0.0.1:{reflector.web_port}"


async def nobody_tests(reflector):
    async with asyncio.timeout(30):
        while reflector.web_stats.testing:  # noqa: ASYNC110 - it is a counter
            await asyncio.sleep(0.02)


async def all_of(link):
    """Everything a server sends until it closes: (texts, sizes of binaries)."""
    texts, sizes = [], []
    try:
        async with asyncio.timeout(20):
            while True:
                message = await link.recv()
                if isinstance(message, str):
                    texts.append(json.loads(message))
                else:
                    sizes.append(len(message))
    except ConnectionClosed as closed:
        return texts, sizes, closed
    raise AssertionError("never closed")


def make_certificate(folder, begins):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(begins + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder

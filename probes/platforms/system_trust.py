"""TLS that trusts what the system trusts.

On Windows and macOS the system itself checks a certificate: it knows authorities that
it has not fetched yet, and those that the council has distributed.
"""

from __future__ import annotations

import ssl
import sys


def trust(ca_file: str) -> ssl.SSLContext:
    """Returns a TLS context that verifies against `ca_file`, or by the system if it is
    empty. Raises `OSError` if `ca_file` cannot be read."""
    if not ca_file and sys.platform in {"win32", "darwin"}:
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return ssl.create_default_context(cafile=ca_file or None)

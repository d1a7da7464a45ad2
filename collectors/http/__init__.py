"""One HTTP server for everything that Towpath serves over HTTP.

`listener` accepts each `connection` and does the TLS handshake; `protocol` reads its
requests. `connection_slots` decides which connections stay and `fair_queue` whose
handshake is next (both pure). `server` puts them together.
"""

from typing import TYPE_CHECKING

from collectors.late_exports import export_late

if TYPE_CHECKING:
    from collectors.http.refusal_reasons import HttpRefusal
    from collectors.http.server import (
        CannotServe,
        Certificate,
        Endpoint,
        HttpServer,
        ServerLimits,
    )
else:
    __getattr__ = export_late(__name__)

__all__ = [
    "CannotServe",
    "Certificate",
    "Endpoint",
    "HttpRefusal",
    "HttpServer",
    "ServerLimits",
]

"""One HTTP server for everything that Towpath serves over HTTP.

Who may connect is decided in `places` (pure), connections are accepted and TLS is
agreed in `listener`, requests are read in `protocol`; `server` puts them together.
"""

from collectors.http.refusal import Refusal
from collectors.http.server import CannotServe, Certificate, HttpServer, ServerLimits

__all__ = ["CannotServe", "Certificate", "HttpServer", "Refusal", "ServerLimits"]

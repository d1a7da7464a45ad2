"""One HTTP server for everything that Towpath serves over HTTP.

Who may stay connected is decided in `places`, and who is next in `fair_queue` (both
pure); `listener` accepts each `connection` and agrees TLS, `protocol` reads its
requests; `server` puts them together.
"""

from collectors.http.refusal_reasons import HttpRefusal
from collectors.http.server import CannotServe, Certificate, HttpServer, ServerLimits

__all__ = ["CannotServe", "Certificate", "HttpRefusal", "HttpServer", "ServerLimits"]

"""A provider of OpenID Connect whose directory a test changes: it answers over HTTP
with tokens in the shapes of Entra ID or Keycloak. It lets everybody in."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from probes.wire.clock import wall_ms

CLIENT = "towpath"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
_KEY = RSAKey.generate_key(2048, {"kid": "one"})


class ScriptedProvider:
    """`claims` are those of the next tokens; `answers` replace the next ones of the
    token endpoint: a status and a document."""

    def __init__(self, claims: dict[str, Any]) -> None:
        self.claims = claims
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.asked: list[dict[str, str]] = []
        self.is_away, self.now_ms = False, wall_ms
        # A field that the token endpoint does not give.
        self.leaves_out = ""
        self.has_keys, self.key_id = True, "one"
        self._codes: dict[str, str] = {}
        self._good = ""
        self.port = 0

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.port}/tenant/v2.0"

    def answer_to(self, url: str) -> str:
        """The address that a browser comes back with, from where Towpath led it."""
        asked = {k: v[0] for k, v in parse_qs(urlsplit(url).query).items()}
        code = secrets.token_urlsafe()
        self._codes[code] = asked["nonce"]
        return f"/sign-in/answer?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, claims: dict[str, Any], **header: str) -> str:
        now_s = self.now_ms() // 1000
        usual = {"iss": self.issuer, "aud": CLIENT, "iat": now_s, "exp": now_s + 120}
        read = {k: v for k, v in (usual | claims).items() if v is not None}
        known = {"alg": "RS256", "kid": self.key_id, **header}
        return jwt.encode(known, read, _KEY)

    def logout_token(self, **claims: Any) -> str:
        """As Keycloak sends it, with other claims; None leaves one out."""
        usual = {"jti": secrets.token_hex(), "typ": "Logout", "events": {EVENT: {}}}
        return self.token(usual | claims, typ="logout+jwt")

    def redeem(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.asked.append(form)
        if self.answers:
            return self.answers.pop(0)
        claims = dict(self.claims)
        if form["grant_type"] == "refresh_token":
            # One that comes twice ends them all, as at many providers.
            if form["refresh_token"] != self._good:
                self._good = ""
                return 400, {"error": "invalid_grant"}
        else:
            claims["nonce"] = self._codes.pop(form["code"])
        answer = {"id_token": self.token(claims), "access_token": "x"}
        if self.leaves_out != "refresh_token":
            self._good = answer["refresh_token"] = secrets.token_urlsafe()
        if form["grant_type"] == "refresh_token":
            answer.pop(self.leaves_out, None)
        return 200, answer

    def document(self, path: str) -> dict[str, Any]:
        if path.endswith("/keys"):
            key = _KEY.as_dict(private=False) | {"kid": self.key_id}
            return {"keys": [key] if self.has_keys else []}
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }


@contextmanager
def scripted_provider(claims: dict[str, Any]) -> Iterator[ScriptedProvider]:
    provider = ScriptedProvider(claims)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not provider.is_away:
                self._send(200, provider.document(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            if not provider.is_away:
                form = {k: v[0] for k, v in parse_qs(body).items()}
                self._send(*provider.redeem(form))

        def _send(self, status: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""What an administrator of a real Keycloak does to a person reaches Towpath."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from identity_servers import (
    KeycloakDirectory,
    go_through,
    keycloak,
    keycloak_settings,
)
from signing_in import audited, signing_in
from test_sign_in_provider import ANSWER, led_to

from probes.wire.clock import wall_ms

pytestmark = [pytest.mark.service, pytest.mark.soak]
LOGOUT = "/sign-in/provider-logout"


@contextmanager
def logouts() -> Iterator[tuple[str, queue.Queue[str]]]:
    """An address, and the logout tokens that are sent there."""
    received: queue.Queue[str] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            received.put(parse_qs(body)["logout_token"][0])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}{LOGOUT}", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_who_is_signed_out_changed_or_disabled_in_keycloak_is_so_in_towpath(
    tmp_path: Path,
) -> None:
    later_ms = [0]

    def now_ms() -> int:
        return wall_ms() + later_ms[0]

    with logouts() as (url, received):
        server = keycloak(tmp_path / "keycloak", ANSWER, url)
        try:
            server.start(wait_s=300)
            oidc = keycloak_settings(server, tmp_path)
            oidc |= {"renew_s": 60, "leeway_s": 300}
            roles = {"Towpath.Engineer": "engineer"}
            given = {"oidc": oidc, "roles": roles, "everybody": "staff"}
            with signing_in(tmp_path, now_ms, **given) as client:
                directory = KeycloakDirectory(server.port)
                client.get(go_through(led_to(client)))
                assert client.get("/reports").status_code == 200
                directory.sign_out()
                token = received.get(timeout=60)
                answer = client.post(LOGOUT, data={"logout_token": token})
                assert answer.status_code == 200, answer.text
                assert client.get("/reports").status_code == 303
                client.cookies.clear()
                client.get(go_through(led_to(client)))
                later_ms[0] += 61_000
                assert client.get("/reports").status_code == 200
                directory.take_role("Towpath.Engineer")
                later_ms[0] += 61_000
                assert client.get("/reports").status_code == 403
                directory.disable()
                later_ms[0] += 61_000
                assert client.get("/").status_code == 303
        finally:
            server.stop()
    assert [(one.action, one.outcome) for one in audited(tmp_path)] == [
        ("sign in", "done: engineer"),
        ("sign out", "done: by the provider"),
        ("sign in", "done: engineer"),
        ("change roles", "engineer -> staff"),
        ("sign out", "done: not confirmed: invalid_grant"),
    ]

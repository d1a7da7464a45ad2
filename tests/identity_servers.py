"""Real identity providers: the example server of zitadel/oidc, which is certified for
OpenID Connect, and Keycloak."""

from __future__ import annotations

import json
import os
import re
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import services

CLIENT, SECRET = "web", "secret"
USER, PASSWORD = "ada", "a good password of ada"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "towpath"
_PROVIDER = _CACHE / "oidc-provider-3.52.0"


def small_provider(
    folder: Path, redirect_uri: str, port: int | None = None
) -> services.Server:
    """A server with one user. Each start has a new key for its signatures."""
    if not _PROVIDER.exists():
        services.absent(f"{_PROVIDER} is not there (make services, with Go)")
    folder.mkdir(parents=True, exist_ok=True)
    port = port or services.free_port()
    user = {
        "ID": "id-of-ada",
        "Username": USER,
        "Password": PASSWORD,
        "FirstName": "Ada",
        "LastName": "Lovelace",
        "Email": "ada@example.gov.uk",
        "EmailVerified": True,
        "PreferredLanguage": "en",
    }
    (folder / "users.json").write_text(json.dumps({"id-of-ada": user}))
    return services.Server(
        [str(_PROVIDER)],
        folder,
        port,
        lambda: services.answers_tcp(port),
        {
            "PORT": str(port),
            "USERS_FILE": str(folder / "users.json"),
            "REDIRECT_URI": redirect_uri,
        },
    )


def go_through(url: str, user: str = USER, password: str = PASSWORD) -> str:
    """Signs in at a provider as a person with a browser does, from the address that
    Towpath led to. Returns the address that the provider leads back to."""
    with httpx2.Client() as browser:
        for _ in range(10):
            page = browser.get(url)
            if page.is_redirect:
                url = urljoin(url, page.headers["location"])
                if "/sign-in/answer" in url or "/signed-out" in url:
                    return url
                continue
            form = re.search(r"<form[^>]*>.*?</form>", page.text, re.S)
            assert form is not None, page.text
            action = re.search(r'action="([^"]+)"', form[0])
            assert action is not None
            fields = {
                name: unescape(value)
                for name, value in re.findall(
                    r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', form[0]
                )
            }
            answer = browser.post(
                urljoin(url, unescape(action[1])),
                data=fields | {"username": user, "password": password},
            )
            assert answer.is_redirect, answer.text
            url = urljoin(url, answer.headers["location"])
            if "/sign-in/answer" in url:
                return url
    raise AssertionError(f"the provider leads to no end: {url}")

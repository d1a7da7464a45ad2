"""Real identity providers: the example server of zitadel/oidc, which is certified for
OpenID Connect, and Keycloak."""

from __future__ import annotations

import contextlib
import json
import os
import re
import zipfile
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx2
import services

CLIENT, SECRET = "web", "secret"
USER, PASSWORD = "ada", "a good password of ada"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "towpath"
_PROVIDER = _CACHE / "oidc-provider-3.52.0"
_KEYCLOAK = _CACHE / "keycloak-26.5.6.zip"


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


class _Person:
    """A browser. Like real ones it sends cookies marked Secure to localhost too."""

    def __init__(self) -> None:
        self._cookies: dict[str, str] = {}

    def send(
        self, method: str, url: str, form: dict[str, str] | None = None
    ) -> httpx2.Response:
        pairs = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        answer = httpx2.request(
            method, url, data=form, headers={"Cookie": pairs}, timeout=60
        )
        for header in answer.headers.get_list("set-cookie"):
            name, _, value = header.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer


def go_through(url: str, user: str = USER, password: str = PASSWORD) -> str:
    """Signs in at a provider as a person with a browser does, from the address that
    Towpath led to. Returns the address that the provider leads back to."""
    person = _Person()
    for _ in range(10):
        page = person.send("GET", url)
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
        answer = person.send(
            "POST",
            urljoin(url, unescape(action[1])),
            fields | {"username": user, "password": password},
        )
        assert answer.is_redirect, answer.text
        url = urljoin(url, answer.headers["location"])
        if "/sign-in/answer" in url:
            return url
    raise AssertionError(f"the provider leads to no end: {url}")


REALM = "council"
ADMIN_PASSWORD = "of the directory's administrator"


def keycloak(folder: Path, redirect_uri: str, logout_url: str = "") -> services.Server:
    """Keycloak from Maven Central (keycloak-quarkus-dist), with a realm of one person
    who has a role, and a client whose ID tokens list the roles. `logout_url`: where it
    sends whom it signs out."""
    if not _KEYCLOAK.exists():
        services.absent(f"{_KEYCLOAK} is not there: fetch it from Maven Central")
    java = services.program("java")
    with zipfile.ZipFile(_KEYCLOAK) as archive:
        archive.extractall(folder)
    (home,) = folder.glob("keycloak-*")
    (home / "bin" / "kc.sh").chmod(0o755)
    imports = home / "data" / "import"
    imports.mkdir(parents=True)
    (imports / "realm.json").write_text(json.dumps(_realm(redirect_uri, logout_url)))
    port = services.free_port()
    address = f"http://localhost:{port}/realms/{REALM}/.well-known/openid-configuration"

    def ready() -> bool:
        with contextlib.suppress(httpx2.HTTPError):
            return httpx2.get(address).status_code == 200
        return False

    return services.Server(
        [
            str(home / "bin" / "kc.sh"),
            "start-dev",
            "--import-realm",
            f"--http-port={port}",
            "--http-host=127.0.0.1",
            "--cache=local",
        ],
        folder,
        port,
        ready,
        {
            "JAVA_HOME": str(Path(java).resolve().parents[1]),
            "JAVA_OPTS": "-Xmx700m",
            "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
            "KC_BOOTSTRAP_ADMIN_PASSWORD": ADMIN_PASSWORD,
        },
    )


def keycloak_settings(server: services.Server, folder: Path) -> dict[str, Any]:
    """`web.sign_in.oidc` for that Keycloak; the client's secret is in the folder."""
    (folder / "secret").write_text(SECRET)
    return {
        "issuer": f"http://localhost:{server.port}/realms/{REALM}",
        "client_id": CLIENT,
        "timeout_s": 60,
        "client_secret": {"file": folder / "secret"},
    }


class KeycloakDirectory:
    """What an administrator of Keycloak does to the person, over its own API."""

    def __init__(self, port: int) -> None:
        self._base = f"http://localhost:{port}"
        [person] = self._send("GET", f"users?username={USER}").json()
        self._person = f"users/{person['id']}"

    def disable(self) -> None:
        self._send("PUT", self._person, {"enabled": False})

    def take_role(self, name: str) -> None:
        role = self._send("GET", f"roles/{name}").json()
        self._send("DELETE", f"{self._person}/role-mappings/realm", [role])

    def sign_out(self) -> None:
        self._send("POST", f"{self._person}/logout")

    def _send(self, method: str, path: str, body: object = None) -> httpx2.Response:
        form = {"grant_type": "password", "client_id": "admin-cli"}
        token = httpx2.post(
            f"{self._base}/realms/master/protocol/openid-connect/token",
            data=form | {"username": "admin", "password": ADMIN_PASSWORD},
            timeout=60,
        ).json()["access_token"]
        answer = httpx2.request(
            method,
            f"{self._base}/admin/realms/{REALM}/{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )
        answer.raise_for_status()
        return answer


def _realm(redirect_uri: str, logout_url: str) -> dict[str, object]:
    roles_in_id_token = {
        "name": "realm roles in the ID token",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-usermodel-realm-role-mapper",
        "config": {
            "claim.name": "realm_access.roles",
            "multivalued": "true",
            "jsonType.label": "String",
            "id.token.claim": "true",
            "access.token.claim": "true",
        },
    }
    return {
        "realm": REALM,
        "enabled": True,
        "sslRequired": "none",
        "roles": {"realm": [{"name": "Towpath.Engineer"}]},
        "users": [
            {
                "username": USER,
                "enabled": True,
                "email": "ada@example.gov.uk",
                "emailVerified": True,
                "firstName": "Ada",
                "lastName": "Lovelace",
                "credentials": [{"type": "password", "value": PASSWORD}],
                "realmRoles": ["Towpath.Engineer"],
            }
        ],
        "clients": [
            {
                "clientId": CLIENT,
                "secret": SECRET,
                "protocol": "openid-connect",
                "publicClient": False,
                "standardFlowEnabled": True,
                "redirectUris": [redirect_uri],
                "attributes": {
                    "pkce.code.challenge.method": "S256",
                    "backchannel.logout.url": logout_url,
                    "backchannel.logout.session.required": "true",
                    "post.logout.redirect.uris": redirect_uri.replace(
                        "/sign-in/answer", "/signed-out"
                    ),
                },
                "protocolMappers": [roles_in_id_token],
            }
        ],
    }

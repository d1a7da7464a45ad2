"""Signs the application in at Entra ID, with a secret or a certificate (msal)."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from typing import Any

import httpx2

from collectors.calls.calls_config import CallsConfig

_TIMEOUT_S = 30.0
# A token is renewed so long before it expires.
_EARLY_S = 300.0
# Entra ID's codes (AADSTS…) of what an administrator can mend.
_REASONS = {
    "7000215": "the secret is wrong: expected its value, not its id",
    "7000222": "the secret has expired",
    "700016": "the directory has no such application (calls.client_id)",
    "700027": "the certificate is not one of the application's, or has expired",
    "7000112": "the application is disabled",
    "90002": "there is no such directory (calls.tenant)",
}
_CODE = re.compile(r"AADSTS(\d{4,8})", re.ASCII)


class GraphRefused(RuntimeError):
    """Why Microsoft's record of calls cannot be read, in one sentence."""


class GraphToken:
    """The application's access token, kept in memory until it expires."""

    def __init__(self, config: CallsConfig) -> None:
        self._config = config
        self._token, self._good_until_s = "", 0.0
        self._turn = asyncio.Lock()

    async def value(self) -> str:
        """Returns a valid token. Raises `GraphRefused`."""
        async with self._turn:
            if time.monotonic() >= self._good_until_s:
                await asyncio.to_thread(self._acquire)
            return self._token

    def forget(self, token: str) -> None:
        """Drops `token`, so that the next request signs in again. A newer one stays."""
        if token == self._token:
            self._good_until_s = 0.0

    def _acquire(self) -> None:
        config = self._config
        credential = client_credential(config)
        try:
            answer = _sign_in(config, credential)
        except (OSError, ValueError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            # Its text may have the whole request in it.
            raise GraphRefused(
                f"{config.sign_in_url} cannot be reached for signing in "
                f"({type(error).__name__})"
            ) from None
        token, seconds = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token:
            raise GraphRefused(f"Entra ID refuses the application: {_reason(answer)}")
        lasts_s = seconds if isinstance(seconds, int) else 0
        self._token = token
        self._good_until_s = time.monotonic() + lasts_s - _EARLY_S


class _MsalHttp:
    """msal's HTTP client. Its own takes authorities from the environment, not from the
    settings."""

    def __init__(self, http: httpx2.Client) -> None:
        self._http = http

    def get(self, url: str, **more: Any) -> httpx2.Response:
        return self._http.get(url, **more)

    def post(self, url: str, data: Any = None, **more: Any) -> httpx2.Response:
        # msal gives a signed assertion as bytes, which httpx2 would write as b'…'.
        if isinstance(data, dict):
            data = {
                name: value.decode() if isinstance(value, bytes) else value
                for name, value in data.items()
            }
        return self._http.post(url, data=data, **more)

    def close(self) -> None:
        self._http.close()


def _sign_in(config: CallsConfig, credential: str | dict[str, str]) -> dict[str, Any]:
    """Returns Entra ID's answer. Blocking."""
    # Only here: it is slow to import, and most councils do not use it.
    import msal  # type: ignore[import-untyped]

    trusted = ssl.create_default_context(
        cafile=str(config.ca_file) if config.ca_file else None
    )
    with httpx2.Client(verify=trusted, timeout=_TIMEOUT_S) as http:
        app = msal.ConfidentialClientApplication(
            config.client_id,
            client_credential=credential,
            authority=f"{config.sign_in_url}/{config.tenant}",
            instance_discovery=False,
            http_client=_MsalHttp(http),
        )
        answer = app.acquire_token_for_client([f"{config.graph_url}/.default"])
    return answer if isinstance(answer, dict) else {}


def client_credential(config: CallsConfig) -> str | dict[str, str]:
    """Returns the secret, or the certificate with its key, in msal's form. Raises
    `GraphRefused`."""
    if config.certificate is None:
        try:
            return config.secret.value()
        except LookupError as error:
            raise GraphRefused(f"calls.secret: {error}") from None
    # Only here: a command that reads the settings needs no certificate.
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        pem = config.certificate.read_bytes()
        x509.load_pem_x509_certificate(pem)
        load_pem_private_key(pem, None)
    except OSError as error:
        raise GraphRefused(
            f"calls.certificate: {config.certificate}: cannot be read: {error.strerror}"
        ) from None
    except (ValueError, TypeError):
        raise GraphRefused(
            f"calls.certificate: {config.certificate}: expected a certificate and its "
            "key without a password, both in PEM form"
        ) from None
    text = pem.decode("ascii", "replace")
    return {"private_key": text, "public_certificate": text}


def _reason(answer: dict[str, Any]) -> str:
    found = _CODE.search(str(answer.get("error_description", "")))
    code = found[1] if found else ""
    known = _REASONS.get(code)
    if known:
        return f"{known} (AADSTS{code})"
    return f"AADSTS{code}" if code else "it gives no reason"

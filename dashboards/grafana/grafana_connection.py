"""The connection to a running Grafana, by grafana-client.

Every error is one sentence: what failed, where, and what was expected.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import niquests
from grafana_client.api import GrafanaApi
from grafana_client.client import GrafanaException, GrafanaTimeoutError


class PushError(RuntimeError):
    """Grafana did not accept something; the text is one sentence."""


class RefusedRequest(PushError):
    """Grafana answered a request with an error; `status` is HTTP's."""

    def __init__(self, sentence: str, status: int, reason: str) -> None:
        super().__init__(sentence)
        self.status, self.reason = status, reason


class GrafanaConnection:
    """Calls of grafana-client. `url` is an address such as
    https://grafana.example; `ca_file` has the authorities to trust instead of the
    system's. Raises `PushError` if the address or the file is wrong."""

    def __init__(
        self, url: str, token: str, ca_file: Path | None = None, timeout_s: float = 15.0
    ) -> None:
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s
        try:
            parts = urlsplit(self.url)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname)
            port = parts.port
        except ValueError:
            valid, port = False, None
        if not valid or parts.query or parts.fragment:
            raise PushError(
                f"{url!r} is not an address, expected https://grafana.example"
            )
        if not token.strip() or not token.isascii():
            raise PushError(
                "the token is empty or not ASCII, expected that of a service account "
                f"of {self.url}"
            )
        if ca_file is not None and not ca_file.is_file():
            raise PushError(
                f"{ca_file} does not exist, expected a PEM file of the authorities "
                f"that signed the certificate of {self.url}"
            )
        self.api: Any = GrafanaApi(
            token.strip(),
            host=f"[{parts.hostname}]"
            if ":" in (parts.hostname or "")
            else parts.hostname,
            port=port,
            url_path_prefix=f"{parts.path.strip('/')}/".lstrip("/"),
            protocol=parts.scheme,
            verify=True if ca_file is None else str(ca_file),
            timeout=timeout_s,
        )
        # A redirect would turn a POST into a GET, and could send the token elsewhere.
        self.api.client.s.max_redirects = 0

    def close(self) -> None:
        self.api.client.s.close()

    def address(self, path: str) -> str:
        """Returns the address of a path of Grafana's answers, which has the sub-path
        of `url` if Grafana is served below one."""
        prefix = urlsplit(self.url).path
        return self.url + (path.removeprefix(prefix) if prefix else path)

    def call_for_object(
        self, action: str, call: Callable[..., Any], *values: Any
    ) -> dict[str, Any]:
        answer = self.call(action, call, *values)
        if not isinstance(answer, dict):
            raise PushError(self._not_grafana())
        return answer

    def call(
        self, action: str, call: Callable[..., Any], *values: Any, **named: Any
    ) -> Any:
        try:
            answer = call(*values, **named)
        except GrafanaTimeoutError:
            raise PushError(
                f"{self.url} did not answer within {self._timeout_s:g} s"
            ) from None
        except GrafanaException as error:
            raise self._refusal(action, error) from None
        except niquests.exceptions.SSLError as error:
            raise PushError(
                f"the certificate of {self.url} is not trusted ({_reason(error)}): "
                "expected --ca-file (or grafana.ca_file) with the authority that "
                "signed it"
            ) from None
        except niquests.exceptions.TooManyRedirects:
            raise PushError(
                f"{self.url} redirects to another address: expected the address that "
                "Grafana is served at, such as https:// instead of http://"
            ) from None
        except (niquests.exceptions.JSONDecodeError, ValueError):
            raise PushError(self._not_grafana()) from None
        except OSError as error:
            raise PushError(f"{self.url} cannot be reached: {_reason(error)}") from None
        if isinstance(answer, str) and answer:
            # A page in HTML: a proxy's login, or another server.
            raise PushError(self._not_grafana())
        return answer

    def _refusal(self, action: str, error: GrafanaException) -> PushError:
        status, answer = int(error.status_code or 0), error.response
        if not isinstance(answer, dict):
            if status in (401, 403, 404, 405):
                return PushError(self._not_grafana())
            answer = {}
        reason = str(answer.get("message") or f"HTTP {status}")
        if status == 401:
            sentence = (
                f"{self.url} does not accept the token ({reason}): expected the token "
                "of a service account that is enabled and has not expired"
            )
        elif status == 403:
            sentence = (
                f"the token may not {action} at {self.url} ({reason}): expected a "
                "service account with the role Editor, or Admin for data sources "
                "and permissions"
            )
        else:
            sentence = f"{self.url} could not {action}: {reason}"
        return RefusedRequest(sentence, status, reason)

    def _not_grafana(self) -> str:
        return (
            f"{self.url} does not answer as Grafana does: expected the address of "
            "Grafana's own start page, without a login page of a proxy before it"
        )


def _reason(error: BaseException) -> str:
    """Returns the innermost reason of a network error, without addresses of objects."""
    inner: BaseException = error
    while True:
        below = getattr(inner, "reason", None) or inner.__cause__ or inner.__context__
        if below is None and inner.args and isinstance(inner.args[0], BaseException):
            below = inner.args[0]
        if not isinstance(below, BaseException) or below is inner:
            break
        inner = below
    if isinstance(inner, OSError) and inner.strerror:
        return str(inner.strerror)
    text = str(inner)
    return text.rsplit(">: ", 1)[-1].strip() or type(inner).__name__

"""The way to the provider and back: authorization code with PKCE, state and nonce
(OpenID Connect Core section 3.1, RFC 7636, RFC 9700). Pure, but for random numbers."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

import msgspec

from collectors.ip_networks import network_of
from dashboards.web.sign_in.sign_in_refusal import (
    NOT_GENUINE,
    START_AGAIN,
    SignInRefused,
)

VALID_MS = 600_000
# More than a council has people. The oldest start of the network that has the most is
# forgotten first, so a flood pushes out only its own.
_MOST_STARTED = 5_000
# What providers say that a person did (OpenID Connect Core section 3.1.2.6).
_GIVEN_UP = frozenset({"access_denied", "login_required", "interaction_required"})


class StartedSignIn(msgspec.Struct, frozen=True):
    """What Towpath remembers until the browser comes back. `browser`: a secret in the
    browser's cookie, so that an answer is worth nothing in another one; `network`: of
    its address."""

    state: str
    nonce: str
    verifier: str
    browser: str
    next: str
    network: str
    until_ms: int

    @property
    def challenge(self) -> str:
        """The code challenge of method S256 (RFC 7636 section 4.2)."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


class StartedSignIns:
    """Those that have not come back yet. Each is used once. They are in memory: after
    a restart people start again."""

    def __init__(self) -> None:
        self._by_state: dict[str, StartedSignIn] = {}
        self._of_network: Counter[str] = Counter()

    def start(
        self, browser: str, next_path: str, address: str, now_ms: int
    ) -> StartedSignIn:
        started = StartedSignIn(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            browser=browser,
            next=next_path,
            network=network_of(address),
            until_ms=now_ms + VALID_MS,
        )
        self._forget_old(now_ms)
        self._by_state[started.state] = started
        self._of_network[started.network] += 1
        return started

    def finish(self, state: str, browser: str, now_ms: int) -> StartedSignIn:
        """Returns the sign-in of an answer, and forgets it. Raises `SignInRefused`."""
        started = self._by_state.get(state)
        if started is None:
            raise SignInRefused(START_AGAIN, "the answer's state is not known, or used")
        if not browser or not secrets.compare_digest(started.browser, browser):
            # Kept: it is still good in the browser that started it.
            raise SignInRefused(START_AGAIN, "the answer came from another browser")
        self._forget(started)
        if now_ms >= started.until_ms:
            raise SignInRefused(START_AGAIN, "the answer came after ten minutes")
        return started

    def _forget_old(self, now_ms: int) -> None:
        # They are in the order of their ends.
        while self._by_state:
            oldest = next(iter(self._by_state.values()))
            if now_ms < oldest.until_ms:
                break
            self._forget(oldest)
        if len(self._by_state) < _MOST_STARTED:
            return
        [(most, _)] = self._of_network.most_common(1)
        self._forget(next(s for s in self._by_state.values() if s.network == most))

    def _forget(self, started: StartedSignIn) -> None:
        del self._by_state[started.state]
        self._of_network[started.network] -= 1
        if not self._of_network[started.network]:
            del self._of_network[started.network]


def authorization_url(
    endpoint: str,
    client_id: str,
    scopes: tuple[str, ...],
    redirect_uri: str,
    started: StartedSignIn,
) -> str:
    """Where the browser goes to sign in. Pure."""
    values = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(scopes),
        "state": started.state,
        "nonce": started.nonce,
        "code_challenge": started.challenge,
        "code_challenge_method": "S256",
    }
    return with_query(endpoint, values)


def with_query(address: str, values: Mapping[str, str]) -> str:
    """The address with more values in its query. Pure."""
    join = "&" if urlsplit(address).query else "?"
    return f"{address}{join}{urlencode(values)}"


def code_of(answer: Mapping[str, list[str]], issuer: str, names_issuer: bool) -> str:
    """The code in the provider's answer. Raises `SignInRefused`. Pure.

    `names_issuer`: the provider says that its answers name it (RFC 9207), which shows
    an answer that another provider's sign-in led to.
    """
    if twice := [name for name, values in answer.items() if len(values) > 1]:
        raise SignInRefused(NOT_GENUINE, f"the answer has {twice[0]!r} twice")
    values = {name: texts[0] for name, texts in answer.items()}
    named = values.get("iss")
    if named is None and names_issuer:
        raise SignInRefused(NOT_GENUINE, "the answer does not name its issuer")
    if named is not None and named != issuer:
        raise SignInRefused(NOT_GENUINE, "the answer is of another issuer")
    error = values.get("error", "")
    if error in _GIVEN_UP:
        raise SignInRefused(
            "Your council's sign-in was not completed, or did not let you in. You can "
            "start again.",
            f"the provider answered {error}",
        )
    if error:
        word = error if error.isascii() and error.isprintable() else "an error"
        raise SignInRefused(NOT_GENUINE, f"the provider answered {word[:60]}")
    if not values.get("code"):
        raise SignInRefused(NOT_GENUINE, "the answer has no code")
    return values["code"]

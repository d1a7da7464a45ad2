"""What the servers that behave like a service desk have in common."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from faulty_http import Request

SECRET = "s3cret-of-the-desk"
Answer = tuple[int, Any]


class DeskServer:
    """`settings`: those of a channel for it, without `url`. `on_create` is called when
    a ticket has been created and nobody has been told."""

    product = ""

    def __init__(self) -> None:
        self.tickets: list[dict[str, Any]] = []
        self.notes: dict[str, list[str]] = {}
        self.tokens_given = 0
        self.token_valid = True
        self.on_create: Callable[[], None] = lambda: None

    def settings(self, place: str) -> dict[str, Any]:
        raise NotImplementedError

    def __call__(self, request: Request) -> Answer:
        raise NotImplementedError

    def titles(self) -> list[str]:
        raise NotImplementedError

    def is_resolved(self) -> bool:
        raise NotImplementedError

    def assign(self) -> None:
        """A person takes the only ticket."""
        raise NotImplementedError

    def start_work(self) -> None:
        """A person changes its state, without taking it."""
        raise NotImplementedError

    def all_notes(self) -> list[str]:
        return [note for notes in self.notes.values() for note in notes]

    def index(self) -> None:
        """Lets searches find every ticket."""

    def _oauth2(self, request: Request) -> Answer:
        form = {k: v[0] for k, v in parse_qs(request.body.decode()).items()}
        if (form.get("client_id"), form.get("client_secret")) != ("towpath", SECRET):
            return 401, {"error": "invalid_client", "error_description": f"not {form}"}
        self.tokens_given += 1
        self.token_valid = True
        return 200, {"access_token": self._token(), "expires_in": 1800}

    def _token(self) -> str:
        return f"token-{self.tokens_given}-{SECRET}"

    def _has_token(self, request: Request) -> bool:
        right = f"Bearer {self._token()}"
        return self.token_valid and request.headers.get("authorization") == right


def has_basic(request: Request, user: str, password: str) -> bool:
    right = base64.b64encode(f"{user}:{password}".encode()).decode()
    return request.headers.get("authorization") == f"Basic {right}"

"""`Secret`: the place of a secret, never the secret itself: settings are logged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from collectors.strict_model import StrictModel


class Secret(StrictModel):
    """`{env = "NAME"}`, `{file = "path"}` or `{credential = "name"}` (systemd's
    `LoadCredential=`). Read when it is used, so a new one needs no restart."""

    env: str = ""
    file: Path | None = None
    credential: str = ""

    @model_validator(mode="before")
    @classmethod
    def _reject_plain_text(cls, raw: Any) -> Any:
        if isinstance(raw, str):
            raise ValueError(
                'expected { env = "NAME" }, { file = "PATH" } or { credential = "NAME" '
                "}, never the secret itself"
            )
        return raw

    @model_validator(mode="after")
    def _require_one_place(self) -> Self:
        if sum(map(bool, (self.env, self.file, self.credential))) > 1:
            raise ValueError("expected one of env, file, credential")
        return self

    def __bool__(self) -> bool:
        return bool(self.env or self.file or self.credential)

    @property
    def place(self) -> str:
        """Where it is, for sentences."""
        return self.env or self.credential or str(self.file or "")

    def value(self) -> str:
        """Returns the secret. Raises `LookupError` with a sentence if it is not there.
        Blocking."""
        if self.env:
            secret = os.environ.get(self.env)
            if secret is None:
                raise LookupError(f"the environment has no {self.env}")
            return secret
        path = self.file
        if self.credential:
            folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
            if not folder:
                raise LookupError(
                    f"credential {self.credential!r}: systemd gave no credentials"
                )
            path = Path(folder) / self.credential
        if path is None:
            raise LookupError("no secret is named")
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise LookupError(f"{path}: cannot be read: {error.strerror}") from None

"""The council's enrolment token: where a laptop finds it, and how it is removed.

One token enrols many laptops, so every reader of it can enrol a laptop of their own.
It is needed once. It comes from, in this order:

- the settings: `enrolment_token`, in the file or in the environment
  (`TOWPATH_AGENT_ENROLMENT_TOKEN`);
- the file that the setting `enrolment_token_file` names;
- a credential of systemd called `enrolment-token` (systemd.exec(5), `LoadCredential=`),
  which only the service can read, while it runs.

Once the laptop is enrolled, it is removed from all of these that the agent may change.
"""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
from collections.abc import MutableMapping
from pathlib import Path

from probes.agent.settings import PREFIX, Settings
from probes.platforms.text_files import decode_text, text_encoding
from probes.wire.atomic_file import replace_file
from probes.wire.held_files import read_held, while_held

SYSTEMD_CREDENTIAL = "enrolment-token"
MAX_BYTES = 1_000
_VARIABLE = f"{PREFIX}ENROLMENT_TOKEN"
_LINE = re.compile(r"^[ \t]*enrolment_token[ \t]*=.*(\r?\n|\Z)", re.MULTILINE)


class EnrolmentToken:
    """The token of `settings`, which were read from `file` and `environment`.

    `is_needed`: the laptop may still have to enrol with it.
    """

    def __init__(
        self,
        settings: Settings,
        file: Path | None,
        environment: MutableMapping[str, str],
    ) -> None:
        self._settings, self._file = settings, file
        self._environment = environment
        self.is_needed = False

    def read(self) -> str:
        """Returns the token; empty if there is none. Raises `OSError` if its file
        cannot be read."""
        if self._settings.enrolment_token:
            return self._settings.enrolment_token
        if self._settings.enrolment_token_file:
            with contextlib.suppress(FileNotFoundError):
                return read_token(Path(self._settings.enrolment_token_file))
        folder = self._environment.get("CREDENTIALS_DIRECTORY", "")
        if folder:
            with contextlib.suppress(FileNotFoundError):
                return read_token(Path(folder, SYSTEMD_CREDENTIAL))
        return ""

    def forget(self) -> list[str]:
        """Removes the token from this laptop. Returns a sentence for each place that
        still holds it because this user may not change it."""
        self._environment.pop(_VARIABLE, None)
        warnings = []
        if self._file is not None and not _scrub(self._file):
            warnings.append(
                f"{self._file} still holds the enrolment token, which is not needed "
                "any more: remove the line enrolment_token from it"
            )
        if self._settings.enrolment_token_file:
            path = Path(self._settings.enrolment_token_file)
            try:
                while_held(lambda: path.unlink(missing_ok=True))
            except OSError as error:
                warnings.append(
                    f"{path} still holds the enrolment token, which is not needed any "
                    f"more, and cannot be removed ({error.strerror}): remove it"
                )
        return warnings


def read_token(path: Path) -> str:
    """Returns the token, the first line of `path`. Raises `OSError` if it cannot be
    read."""
    content = read_held(path, MAX_BYTES)
    text = content.decode(text_encoding(content), "replace")
    return text.partition("\n")[0].strip()


def without_token(text: str) -> str | None:
    """Returns the settings `text` without the line of the token; None if it cannot be
    removed without changing something else. Pure."""
    rest = _LINE.sub("", text, count=1)
    try:
        before, after = tomllib.loads(text), tomllib.loads(rest)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    before.pop("enrolment_token", None)
    return rest if before == after else None


def _scrub(path: Path) -> bool:
    """Removes the token from the settings file. Returns False if it still holds one."""
    try:
        # A symbolic link stays one.
        path = path.resolve()
        content = read_held(path)
        text = decode_text(content)
        if "enrolment_token" not in tomllib.loads(text):
            return True
        rest = without_token(text)
        if rest is None:
            return False
        _replace(path, rest.encode(text_encoding(content)))
    except (OSError, ValueError, RecursionError):
        return False
    return True


def _replace(path: Path, content: bytes) -> None:
    """Replaces the file, with its mode and owner, as a whole if this user may write in
    its folder, otherwise in place."""
    before = path.stat()
    mode, owner = before.st_mode & 0o7777, (before.st_uid, before.st_gid)
    try:
        replace_file(path, content, durable=True, mode=mode, owner=owner)
    except PermissionError:
        with path.open("r+b") as file:
            file.write(content)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())

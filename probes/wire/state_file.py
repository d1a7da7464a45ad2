"""A small file in which the agent keeps something for itself.

A file that is damaged (cut, of another program, a folder in its place) never stops the
agent: it is moved aside to `NAME.damaged`, and one line of the log says what that
means. A file that cannot be read or written stays as it is, and that is logged once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from probes.wire.atomic_file import PRIVATE, replace_file
from probes.wire.held_files import read_held, while_held

_log = logging.getLogger(__name__)

T = TypeVar("T")
MAX_BYTES = 1_000_000
DAMAGED = ".damaged"


class StateFile:
    """`loss`: what it means if the content is lost, as the end of a sentence.

    `unread`: `read` could not read the file, which may be intact.
    """

    def __init__(
        self,
        path: Path,
        loss: str = "it is written again",
        *,
        mode: int = PRIVATE,
        durable: bool = True,
    ) -> None:
        self.path, self._loss = path, loss
        self._mode, self._durable = mode, durable
        self._trouble = ""
        self.unread = False

    def load(self, decode: Callable[[bytes], T], missing: T) -> T:
        """Returns what `decode` makes of the content; `missing` if there is no file,
        or a damaged one. Raises `OSError` if it cannot be read: it may be intact."""
        try:
            content = read_held(self.path, MAX_BYTES + 1)
        except FileNotFoundError:
            return missing
        except IsADirectoryError:
            self._set_aside("a folder is in its place")
            return missing
        if len(content) > MAX_BYTES:
            self._set_aside(f"it is longer than {MAX_BYTES} bytes")
            return missing
        try:
            return decode(content)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self._set_aside(str(error))
            return missing

    def read(self, decode: Callable[[bytes], T], missing: T) -> T:
        """As `load`, with `missing` if the file cannot be read."""
        try:
            return self.load(decode, missing)
        except OSError as error:
            self.unread = True
            self._name_once(f"{self.path} cannot be read: {error}; {self._loss}")
            return missing

    def save(self, content: bytes) -> None:
        """Replaces the content. Raises `OSError`."""
        if self.path.is_dir():
            self._set_aside("a folder is in its place")
        replace_file(self.path, content, durable=self._durable, mode=self._mode)

    def write(self, content: bytes) -> None:
        """As `save`, but what cannot be written is logged once, and lost."""
        try:
            self.save(content)
        except OSError as error:
            self._name_once(f"{self.path} cannot be written: {error}")
        else:
            if self._trouble:
                _log.info("state_file_recovered path=%s", self.path)
            self._trouble = ""

    def _set_aside(self, why: str) -> None:
        aside = self.path.with_name(self.path.name + DAMAGED)
        why = next(iter(why.splitlines()), "")[:200]
        try:
            while_held(lambda: self.path.replace(aside))
        except OSError as error:
            self._name_once(
                f"{self.path} is damaged ({why}) and cannot be moved aside ({error}); "
                f"{self._loss}"
            )
            return
        _log.warning(
            "state_file_damaged error=%s was damaged (%s) and is now %s; %s",
            self.path,
            why,
            aside.name,
            self._loss,
        )

    def _name_once(self, trouble: str) -> None:
        if trouble != self._trouble:
            _log.warning("state_file_failed error=%s", trouble)
        self._trouble = trouble

"""Requests to erase one laptop's rows from the store.

A request is a file in `<store>/erased/`. It is called NAME.asked until the process that
writes the store has removed the rows, and NAME.done after that. It is kept as long as
the journal may still have rows of that laptop, so that the writer leaves them out.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from collectors.batch import Batch
from probes.wire.atomic_file import replace_file

FOLDER = "erased"
_ASKED, _DONE = ".asked", ".done"


class ErasureRequest(msgspec.Struct, frozen=True):
    """A request to erase all rows received from `agent` up to `asked_ms`."""

    agent: str
    asked_ms: int


class Erasures:
    """The requests in one store's folder; any process may use it."""

    def __init__(self, store: Path) -> None:
        self._folder = store / FOLDER
        self._read_ns = -1
        self._known: dict[str, int] = {}

    def request(self, agent: str, now_ms: int, done: bool = False) -> None:
        """Adds a request, durably. Raises `OSError`.

        `done`: the rows have been removed already.
        """
        name = f"{secrets.token_hex(8)}{_DONE if done else _ASKED}"
        body = msgspec.json.encode(ErasureRequest(agent, now_ms))
        replace_file(self._folder / name, body, durable=True)

    def pending(self) -> list[tuple[Path, ErasureRequest]]:
        """Returns the requests whose rows are still in the store."""
        return [
            (path, request)
            for path, request in self._requests()
            if path.suffix == _ASKED
        ]

    def finish(self, path: Path) -> None:
        """Marks the request in that file as done."""
        path.rename(path.with_suffix(_DONE))

    def prune(self, before_ms: int) -> int:
        """Removes finished requests from before that time. Returns how many."""
        old = [
            path
            for path, request in self._requests()
            if path.suffix == _DONE and request.asked_ms < before_ms
        ]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)

    def known(self) -> Mapping[str, int]:
        """Returns, by agent, the time up to which its rows are erased.

        The folder is only read again if it has changed.
        """
        try:
            changed_ns = self._folder.stat().st_mtime_ns
        except OSError:
            return {}
        if changed_ns != self._read_ns:
            known: dict[str, int] = {}
            for _, request in self._requests():
                asked_ms = max(request.asked_ms, known.get(request.agent, 0))
                known[request.agent] = asked_ms
            self._known, self._read_ns = known, changed_ns
        return self._known

    def _requests(self) -> list[tuple[Path, ErasureRequest]]:
        requests = []
        with contextlib.suppress(FileNotFoundError):
            for path in sorted(self._folder.iterdir()):
                if path.suffix in (_ASKED, _DONE) and not path.name.startswith("."):
                    with contextlib.suppress(OSError, ValueError):
                        body = path.read_bytes()
                        requests.append(
                            (path, msgspec.json.decode(body, type=ErasureRequest))
                        )
        return requests


def without_erased(batches: Iterable[Batch], erased: Mapping[str, int]) -> list[Batch]:
    """Returns `batches` without rows that were received before their agent was erased
    (`Erasures.known`). Pure."""
    kept = []
    for batch in batches:
        if erased and "agent" in batch.schema.tags:
            agents = batch.tag("agent")
            batch = batch.rows(
                [
                    at
                    for at, agent in enumerate(agents)
                    if batch.received_ms > erased.get(agent, -1)
                ]
            )
        if len(batch):
            kept.append(batch)
    return kept

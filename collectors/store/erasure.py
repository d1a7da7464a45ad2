"""Erasing one laptop from the store: the request, the rows, and what still comes.

A request is a file in `<store>/erased/`: NAME.asked until the process that writes the
store has removed the rows, NAME.done afterwards. It stays as long as rows of that
laptop may still lie in the journal, so that the writer leaves them out.
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
    """Erase everything that was received of `agent` up to `asked_ms`."""

    agent: str
    asked_ms: int


class Erasures:
    """The requests of one store's folder; any process may use it."""

    def __init__(self, store: Path) -> None:
        self._folder = store / FOLDER
        self._read_ns = -1
        self._known: dict[str, int] = {}

    def request(self, agent: str, now_ms: int, done: bool = False) -> None:
        """Durable when this returns. `done`: the rows are gone already. `OSError`."""
        name = f"{secrets.token_hex(8)}{_DONE if done else _ASKED}"
        body = msgspec.json.encode(ErasureRequest(agent, now_ms))
        replace_file(self._folder / name, body, durable=True)

    def pending(self) -> list[tuple[Path, ErasureRequest]]:
        """Those whose rows are still in the store."""
        return [found for found in self._requests() if found[0].suffix == _ASKED]

    def finish(self, path: Path) -> None:
        """The rows of the request in that file are gone."""
        path.rename(path.with_suffix(_DONE))

    def prune(self, before_ms: int) -> int:
        """Removes finished requests from before that time; how many."""
        old = [
            path
            for path, each in self._requests()
            if path.suffix == _DONE and each.asked_ms < before_ms
        ]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)

    def known(self) -> Mapping[str, int]:
        """Until when what was received of an agent is erased, by agent; read again
        only if the folder has changed."""
        try:
            changed_ns = self._folder.stat().st_mtime_ns
        except OSError:
            return {}
        if changed_ns != self._read_ns:
            known: dict[str, int] = {}
            for _, each in self._requests():
                known[each.agent] = max(each.asked_ms, known.get(each.agent, 0))
            self._known, self._read_ns = known, changed_ns
        return self._known

    def _requests(self) -> list[tuple[Path, ErasureRequest]]:
        found = []
        with contextlib.suppress(FileNotFoundError):
            for path in sorted(self._folder.iterdir()):
                if path.suffix in (_ASKED, _DONE) and not path.name.startswith("."):
                    with contextlib.suppress(OSError, msgspec.MsgspecError):
                        body = path.read_bytes()
                        found.append(
                            (path, msgspec.json.decode(body, type=ErasureRequest))
                        )
        return found


def without_erased(batches: Iterable[Batch], erased: Mapping[str, int]) -> list[Batch]:
    """`batches` without rows of erased agents that were received before they were
    erased (`Erasures.known`). Pure."""
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

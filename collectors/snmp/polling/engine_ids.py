"""Engine ids of version 3, and the devices that have them: each should have its own."""

from __future__ import annotations

from collections.abc import Collection


class EngineIds:
    def __init__(self) -> None:
        self._devices: dict[bytes, set[str]] = {}

    def others(self, device: str, engine_id: bytes) -> Collection[str]:
        """Notes that `device` has `engine_id`; which others have it."""
        having = self._devices.setdefault(engine_id, set())
        if device not in having:
            self.forget(device)
            having.add(device)
        return having - {device}

    def forget(self, device: str) -> None:
        for having in self._devices.values():
            having.discard(device)

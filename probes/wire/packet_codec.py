"""The packets of one run: building its numbered requests, parsing the replies."""

from __future__ import annotations

from typing import Protocol, TypeVar

Parsed = TypeVar("Parsed", covariant=True)


class PacketCodec(Protocol[Parsed]):
    """Builds the numbered requests of one run and recognises the replies to them."""

    def build(self, number: int) -> bytes:
        """Returns request `number`. A reply to another run must not match it."""
        ...

    def parse(self, packet: bytes) -> tuple[int, Parsed] | None:
        """Returns the number of the request that `packet` answers and its content, or
        None if it answers none of them."""
        ...

"""What the settings of all channels have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from collectors.secret import Secret
from collectors.strict_model import StrictModel


class MessageLimit(StrictModel):
    """At most `messages` in `minutes`; 0 messages: no limit. `kept`: how many of them
    are for critical problems only."""

    messages: Annotated[int, Field(ge=0, le=1000)] = 10
    minutes: Annotated[float, Field(gt=0, le=1440)] = 10.0

    @property
    def span_ms(self) -> int:
        return round(self.minutes * 60_000)

    @property
    def kept(self) -> int:
        return -(-self.messages // 4) if self.messages > 1 else 0


UNLIMITED = MessageLimit(messages=0)


class ChannelSettings(StrictModel):
    """`fallback`: the channel that replaces this one while it fails. `limit`: for what
    people read; programs get every message."""

    fallback: str = ""
    limit: MessageLimit = MessageLimit()

    def secrets(self) -> Iterator[tuple[str, Secret]]:
        """(name of the setting, place) of every secret that it needs."""
        yield from ()

    def recipients(self) -> tuple[str, ...]:
        """The people behind it: those of several channels have one limit. Empty if
        they are not known by name."""
        return ()

    def problems(self) -> Iterator[str]:
        """A sentence for each error that only files beside the settings show."""
        yield from ()

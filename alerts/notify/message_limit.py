"""`MessageLimits`: how many messages a person gets, whichever channels they come by.
Pure.

A quarter of them is kept for critical problems, so that none waits behind lesser ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alerts.notify.channel_settings import ChannelSettings, MessageLimit


class MessageLimits:
    """The limits of all channels. Channels with a recipient in common share what that
    recipient has got."""

    def __init__(self, channels: Mapping[str, ChannelSettings]) -> None:
        self._limits: dict[str, MessageLimit] = {}
        self._groups: dict[str, list[frozenset[str]]] = {}
        limited = {
            name: settings
            for name, settings in channels.items()
            if settings.limit.messages
        }
        for name, settings in limited.items():
            self._limits[name] = settings.limit
            groups = {
                frozenset(
                    other
                    for other, others in limited.items()
                    if recipient in others.recipients()
                )
                for recipient in settings.recipients()
            }
            self._groups[name] = list(groups) or [frozenset({name})]

    def span_ms(self, channel: str) -> int:
        """How far back messages count; 0 if the channel has no limit."""
        limit = self._limits.get(channel)
        return limit.span_ms if limit else 0

    def peers(self, channel: str) -> frozenset[str]:
        """The channels whose messages count for `channel`, itself among them."""
        return frozenset().union(*self._groups.get(channel, ()))

    def free_at_ms(
        self,
        channel: str,
        sent_ms: Mapping[str, Sequence[int]],
        now_ms: int,
        critical: bool = False,
    ) -> int:
        """The earliest time of the next message: `now_ms`, or when the oldest of too
        many is long enough ago. `sent_ms`: channel → times of its messages."""
        limit = self._limits.get(channel)
        free_ms = now_ms
        if limit is None:
            return free_ms
        most = limit.messages if critical else limit.messages - limit.kept
        for group in self._groups[channel]:
            times = sorted(
                time_ms
                for peer in group
                for time_ms in sent_ms.get(peer, ())
                if now_ms - limit.span_ms < time_ms <= now_ms
            )
            if len(times) >= most:
                free_ms = max(free_ms, times[-most] + limit.span_ms)
        return free_ms

"""Rows of `self_notify`: what each channel has sent and has yet to send. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from alerts.notify.delivery import Delivery
from alerts.outbox_entry import WaitingDelivery
from probes.wire.sample import Sample


def notify_samples(
    process: str,
    channels: Iterable[str],
    delivery: Delivery,
    waiting: Mapping[str, WaitingDelivery],
    now_ms: int,
) -> list[Sample]:
    """One row of `self_notify` per channel."""
    return [
        Sample(
            "self_notify",
            {"process": process, "channel": channel},
            {
                "sent": delivery.sent[channel],
                "failed": delivery.failed[channel],
                "refused": delivery.refused[channel],
                "unauthorised": delivery.unauthorised[channel],
                "refresh_failed": delivery.refresh_failed[channel],
                "waiting": waiting.get(channel, WaitingDelivery()).total,
                "overdue": waiting.get(channel, WaitingDelivery()).overdue,
                **_refresh(delivery, channel),
            },
            now_ms,
        )
        for channel in channels
    ]


def _refresh(delivery: Delivery, channel: str) -> dict[str, int]:
    """Nothing for a channel that shows nothing that lasts."""
    failing = delivery.refresh_failing.get(channel)
    return {} if failing is None else {"refresh_failing": int(failing)}

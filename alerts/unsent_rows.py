"""Appends rows of `alert` to the journal, in the order in which they were decided."""

from __future__ import annotations

from alerts.alert_store import AlertStore
from alerts.notify.delivery import InThread
from collectors.batch import batch_samples
from collectors.failure_log import FailureLog
from collectors.journal import Append


async def append_unsent(
    store: AlertStore,
    in_thread: InThread,
    append: Append,
    failures: FailureLog,
    now_ms: int,
) -> None:
    """Rows that fail stay in the alert store and go with the next ones."""
    unsent = await in_thread(store.unsent_samples)
    if not unsent:
        return
    samples = [sample for _, sample in unsent]
    try:
        await append.append(*batch_samples(samples, "alerts", now_ms))
    except Exception as error:  # noqa: BLE001 - a full disk must not stop pages
        failures.failed(error, key="append", what="append")
        return
    failures.recovered("append", what="append")
    await in_thread(store.delete_samples, unsent[-1][0])

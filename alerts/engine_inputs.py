"""`EngineInputs`: where the alert engine reads from and writes to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from alerts.alert_file import Replication
from collectors.batch import Batch
from collectors.deletion_clock import DeletionBound, as_it_is
from collectors.estate.estate_model import Estate
from collectors.journal import Append, BatchReader
from collectors.store.query import Store
from collectors.topology import TopologyGraph


@dataclasses.dataclass(frozen=True)
class EngineInputs:
    """`reader`: a running journal reader that began at
    `alerts.alert_access.start_positions(config.standing)`. `append`: takes the rows of
    `alert`. `estate` returns the current estate, `topology` the links that neighbours
    report. `store` may be None. `on_batch` receives every batch, such as to learn these
    links. With a `replication` the engine stands by until it is resumed. `bounded`: the
    time by which old alerts are deleted.
    """

    reader: BatchReader
    append: Append
    estate: Callable[[], Estate]
    store: Store | None = None
    on_batch: Callable[[Batch], None] = lambda batch: None
    topology: Callable[[], TopologyGraph] = TopologyGraph
    replication: Replication | None = None
    bounded: DeletionBound = as_it_is

    def may_send(self) -> bool:
        """False if another machine may notify now."""
        return self.replication is None or self.replication.may_act

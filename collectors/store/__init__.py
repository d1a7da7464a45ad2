"""The store: keeps what was measured and answers queries about it."""

from typing import TYPE_CHECKING

from collectors.late_exports import export_late

if TYPE_CHECKING:
    from collectors.store.duckdb_sql import render as render_duckdb
    from collectors.store.influxql import Grafana
    from collectors.store.influxql import render as render_influxql
    from collectors.store.store_config import StoreConfig, open_store, with_retention
    from collectors.store.store_errors import Away, QueryFailed, RowsRefused
    from collectors.store.store_parts import StorePart
    from collectors.store.store_positions import saved_positions
    from collectors.store.store_writer import StoreWriter, WriterStats
else:
    __getattr__ = export_late(__name__)

__all__ = [
    "Away",
    "Grafana",
    "QueryFailed",
    "RowsRefused",
    "StoreConfig",
    "StorePart",
    "StoreWriter",
    "WriterStats",
    "open_store",
    "render_duckdb",
    "render_influxql",
    "saved_positions",
    "with_retention",
]

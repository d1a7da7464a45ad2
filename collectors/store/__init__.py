"""The store: what was measured, kept and asked for again."""

from collectors.store.duckdb_sql import render as render_duckdb
from collectors.store.influxql import Grafana
from collectors.store.influxql import render as render_influxql
from collectors.store.store_config import StoreConfig, kept, open_store
from collectors.store.store_errors import Away, RowsRefused, Unanswered
from collectors.store.store_writer import StoreWriter, WriterStats, saved_positions

__all__ = [
    "Away",
    "Grafana",
    "RowsRefused",
    "StoreConfig",
    "StoreWriter",
    "Unanswered",
    "WriterStats",
    "kept",
    "open_store",
    "render_duckdb",
    "render_influxql",
    "saved_positions",
]

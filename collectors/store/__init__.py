"""The store: what was measured, kept and asked for again."""

from collectors.store.config import StoreConfig, kept, open_store
from collectors.store.failure import Away, Refused, Unanswered
from collectors.store.influxql import Grafana
from collectors.store.influxql import render as render_influxql
from collectors.store.sql import render as render_duckdb
from collectors.store.writer import StoreWriter, WriterStats, saved_positions

__all__ = [
    "Away",
    "Grafana",
    "Refused",
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

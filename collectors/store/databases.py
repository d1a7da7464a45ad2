"""Creates a database with its retention on each version of InfluxDB."""

from __future__ import annotations

import structlog

from collectors.store.influx_http import InfluxServer
from collectors.store.influxql import identifier
from collectors.store.store_errors import QueryFailed

_log = structlog.get_logger(__name__)


async def create_database(server: InfluxServer, database: str, days: int) -> None:
    """Creates the database if it does not exist; an existing one is not changed.

    Raises `QueryFailed` if the server refuses, and `Away` if it cannot be reached.
    """
    version = await server.version()
    if version.major == 1:
        await _create_on_1(server, database, days)
    elif version.major == 2:
        await _create_on_2(server, database, days)
    else:
        await _create_on_3(server, database, days)


async def _create_on_1(server: InfluxServer, database: str, days: int) -> None:
    databases = await server.query("", "SHOW DATABASES")
    if any([database] in series.values for series in databases):
        policies = await server.query(
            database, f"SHOW RETENTION POLICIES ON {identifier(database)}"
        )
        for row in (row for series in policies for row in series.values):
            named = dict(zip(policies[0].columns, row, strict=True))
            if named.get("default") and named["duration"] != f"{days * 24}h0m0s":
                # It may be intended, and a shorter retention would delete rows.
                _log.warning(
                    "retention_differs",
                    database=database,
                    keeps=named["duration"],
                    catalogue_days=days,
                )
        return
    await server.query(
        "",
        f"CREATE DATABASE {identifier(database)} WITH DURATION {days}d"
        f' REPLICATION 1 SHARD DURATION {7 if days > 60 else 1}d NAME "autogen"',
    )


async def _create_on_2(server: InfluxServer, database: str, days: int) -> None:
    status, answer = await server.call(
        "GET", "/api/v2/buckets", {"name": database, "org": server.org}
    )
    if status == 200 and isinstance(answer, dict) and answer.get("buckets"):
        return
    status, orgs = await server.call("GET", "/api/v2/orgs", {"org": server.org})
    known = status == 200 and isinstance(orgs, dict)
    organisations = orgs.get("orgs") if known else None
    if not organisations:
        raise QueryFailed(
            f"the token has no access to an organisation called {server.org!r} "
            "(store.org must be its name)"
        )
    rules = [{"type": "expire", "everySeconds": days * 86_400}]
    status, answer = await server.call(
        "POST",
        "/api/v2/buckets",
        {},
        {"orgID": organisations[0]["id"], "name": database, "retentionRules": rules},
    )
    if status >= 300 and status != 422:
        raise QueryFailed(f"creating the bucket answered {status}: {answer}")


async def _create_on_3(server: InfluxServer, database: str, days: int) -> None:
    status, answer = await server.call(
        "POST",
        "/api/v3/configure/database",
        {},
        {"db": database, "retention_period": f"{days}d"},
    )
    if status >= 300 and status != 409:
        raise QueryFailed(f"creating the database answered {status}: {answer}")

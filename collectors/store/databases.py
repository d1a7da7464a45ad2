"""Making a database with its retention, as each version of InfluxDB wants it."""

from __future__ import annotations

import structlog

from collectors.store.influx_http import InfluxServer
from collectors.store.influxql import identifier
from collectors.store.store_errors import QueryFailed

_log = structlog.get_logger(__name__)


async def create_database(server: InfluxServer, database: str, days: int) -> None:
    """Makes it where it is not there; one that is there is left as it is.

    `QueryFailed` where the server does not let us, `Away` where it cannot be reached.
    """
    version = await server.version()
    if version.major == 1:
        await _on_1(server, database, days)
    elif version.major == 2:
        await _on_2(server, database, days)
    else:
        await _on_3(server, database, days)


async def _on_1(server: InfluxServer, database: str, days: int) -> None:
    there = await server.query("", "SHOW DATABASES")
    if any([database] in each.values for each in there):
        policies = await server.query(
            database, f"SHOW RETENTION POLICIES ON {identifier(database)}"
        )
        for row in (row for each in policies for row in each.values):
            named = dict(zip(policies[0].columns, row, strict=True))
            if named.get("default") and named["duration"] != f"{days * 24}h0m0s":
                # It may be someone's decision; shortening it would delete.
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


async def _on_2(server: InfluxServer, database: str, days: int) -> None:
    status, answer = await server.call(
        "GET", "/api/v2/buckets", {"name": database, "org": server.org}
    )
    if status == 200 and isinstance(answer, dict) and answer.get("buckets"):
        return
    status, orgs = await server.call("GET", "/api/v2/orgs", {"org": server.org})
    known = status == 200 and isinstance(orgs, dict)
    found = orgs.get("orgs") if known else None
    if not found:
        raise QueryFailed(
            f"no organisation {server.org!r} that this token may see "
            "(store.org must be its name)"
        )
    rules = [{"type": "expire", "everySeconds": days * 86_400}]
    status, answer = await server.call(
        "POST",
        "/api/v2/buckets",
        {},
        {"orgID": found[0]["id"], "name": database, "retentionRules": rules},
    )
    if status >= 300 and status != 422:
        raise QueryFailed(f"creating the bucket answered {status}: {answer}")


async def _on_3(server: InfluxServer, database: str, days: int) -> None:
    status, answer = await server.call(
        "POST",
        "/api/v3/configure/database",
        {},
        {"db": database, "retention_period": f"{days}d"},
    )
    if status >= 300 and status != 409:
        raise QueryFailed(f"creating the database answered {status}: {answer}")

"""Alertmanager: a real one keeps what is repeated, and forgets what has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from channel_rigs import AlertmanagerRig
from faulty_http import FaultyServer
from mail_server import ALERT, PAGE
from services import free_port

from alerts.notify import RetryLater, build_page
from alerts.notify.alertmanager import Alertmanager, AlertmanagerConfig, alert_json
from probes.wire.clock import wall_ms


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[AlertmanagerRig]:
    rig = AlertmanagerRig(tmp_path)
    yield rig
    rig.close()


async def active(rig: AlertmanagerRig) -> list[str]:
    alerts = await asyncio.to_thread(rig.alerts)
    return sorted(one["labels"]["alertname"] for one in alerts)


async def test_an_alert_is_active_until_it_ends(alertmanager: AlertmanagerRig) -> None:
    now_ms = wall_ms()
    alert = msgspec.structs.replace(ALERT, since_ms=now_ms - 60_000)
    page = build_page([alert], "page", ["e1"], now_ms)
    await alertmanager.notifier.notify(page)
    [shown] = await asyncio.to_thread(alertmanager.alerts)
    assert shown["labels"] == {
        "alertname": "line_down",
        "severity": "critical",
        "owner": "network",
        "site": "library",
        "line": "library-wan",
        "source": "towpath",
    }
    assert shown["annotations"]["runbook"].startswith("Report circuit WB-0047")
    assert shown["annotations"]["affected"] == "2 devices, about 20 laptops"
    # The same labels are the same alert, even if more is affected.
    more = msgspec.structs.replace(alert, affected={"devices": 9})
    again = build_page([more], "page", ["e1"], now_ms)
    await alertmanager.notifier.refresh(again, {"e1": alert})
    [shown] = await asyncio.to_thread(alertmanager.alerts)
    assert shown["annotations"]["affected"] == "9 devices"
    over = msgspec.structs.replace(more, state="resolved", resolved_ms=wall_ms())
    end = build_page([over], "resolution", ["e1"], wall_ms())
    await alertmanager.notifier.notify(end)
    assert await active(alertmanager) == []


async def test_what_lasts_is_back_after_alertmanager_lost_its_memory(
    alertmanager: AlertmanagerRig,
) -> None:
    await alertmanager.notifier.notify(PAGE)
    await asyncio.to_thread(alertmanager.process.kill)
    for file in (alertmanager.process.folder / "alertmanager").glob("*"):
        file.unlink()
    await asyncio.to_thread(alertmanager.process.start)
    assert await active(alertmanager) == []
    await alertmanager.notifier.refresh(PAGE, {"e1": ALERT})
    assert await active(alertmanager) == ["line_down"]


def test_an_alert_outlives_four_repeats_that_fail_and_not_a_towpath_that_has_died() -> (
    None
):
    [item] = PAGE.alerts
    shown = alert_json(item, {"team": "network"}, PAGE.sent_ms + 300_000)
    assert shown["startsAt"] == "2026-05-04T09:58:00.000+00:00"
    assert shown["endsAt"] == "2026-05-04T10:05:00.000+00:00"
    assert shown["labels"]["team"] == "network"


async def test_one_member_of_a_cluster_is_enough_and_all_are_told() -> None:
    with FaultyServer() as first, FaultyServer() as second:
        servers = [first.url, f"http://localhost:{free_port()}", second.url]
        config = AlertmanagerConfig.model_validate({"servers": servers})
        await Alertmanager(config).notify(PAGE)
        assert len(first.requests) == len(second.requests) == 1
        first.fault = 503
        await Alertmanager(config).notify(PAGE)
        second.fault = 400
        with pytest.raises(RetryLater, match=r"503.*; .*connection.*; .*400"):
            await Alertmanager(config).notify(PAGE)


async def test_a_wrong_address_is_told_with_a_hint() -> None:
    with FaultyServer() as server:
        server.fault, server.fault_body = 404, "404 page not found"
        config = AlertmanagerConfig.model_validate({"servers": [server.url]})
        with pytest.raises(Exception, match="is that the address of an Alertmanager"):
            await Alertmanager(config).notify(PAGE)

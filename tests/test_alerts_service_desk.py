"""Service desks: each product's file against a server that behaves like it."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from delivering_world import DeliveringWorld
from faulty_http import FaultyServer
from mail_server import ALERT
from service_desk_base import SECRET, DeskServer
from service_desk_servers import DESKS, Halo
from servicenow_server import ServiceNow

from alerts.alert import Alert
from alerts.notify import (
    DeliveryRefused,
    Page,
    PartlyDelivered,
    RetryLater,
    build_page,
)
from alerts.notify.desk_product import load_product, placeholders, product_names
from alerts.notify.desk_settings import ServiceDeskConfig
from alerts.notify.service_desk import ServiceDesk
from probes.wire.clock import wall_ms
from towpath.config import read

ROOT = Path(__file__).parent.parent


class Rig:
    """One product's server, and the channel that talks to it."""

    def __init__(self, product: str, folder: Path) -> None:
        self.desk: DeskServer = DESKS[product]()
        self.server = FaultyServer(self.desk)
        self.place = folder / "desk.key"
        self.place.write_text(SECRET)
        self.settings = {
            **self.desk.settings(str(self.place)),
            "url": self.server.url,
            "timeout_s": 15,
        }

    def channel(self, **more: Any) -> ServiceDesk:
        return ServiceDesk(ServiceDeskConfig.model_validate({**self.settings, **more}))


@pytest.fixture(params=sorted(DESKS))
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(request.param, tmp_path)
    with rig.server:
        yield rig


def begun(*episodes: str, follows: str = "", **more: Any) -> Page:
    now_ms = wall_ms()
    since_ms = now_ms - 120_000
    alert = msgspec.structs.replace(ALERT, since_ms=since_ms, follows=follows)
    return build_page([alert] * len(episodes), "page", episodes, now_ms, **more)


def ended(episode: str, resolved_ms: int = 0, follows: str = "", **more: Any) -> Page:
    resolved_ms = resolved_ms or wall_ms()
    over = msgspec.structs.replace(
        ALERT,
        state="resolved",
        since_ms=resolved_ms - 600_000,
        resolved_ms=resolved_ms,
        follows=follows,
    )
    return build_page([over], "resolution", [episode], resolved_ms, **more)


def test_every_product_of_the_package_has_a_server_here() -> None:
    assert product_names() == sorted(DESKS)


async def test_one_cause_is_one_ticket_and_its_end_resolves_it(rig: Rig) -> None:
    channel = rig.channel()
    await channel.notify(begun("e1", "e2"))
    assert rig.desk.titles() == [ALERT.summary] * 2
    # The same message again, and a message that shares a cause with it.
    await channel.notify(begun("e1", "e2"))
    await channel.notify(begun("e2"))
    assert len(rig.desk.tickets) == 2
    await channel.notify(ended("e1"))
    assert rig.desk.is_resolved()
    [note] = rig.desk.all_notes()
    assert "RESOLVED: Central Library" in note
    assert "Lasted: 10 min" in note


@pytest.mark.parametrize("how", ["assign", "start_work"])
async def test_what_a_person_holds_gets_a_note_and_is_never_resolved(
    how: str, rig: Rig
) -> None:
    channel = rig.channel()
    await channel.notify(begun("e1"))
    getattr(rig.desk, how)()
    await channel.notify(ended("e1"))
    assert not rig.desk.is_resolved()
    [note] = rig.desk.all_notes()
    assert "Towpath leaves it open." in note


async def test_a_council_may_keep_the_resolving_to_people(rig: Rig) -> None:
    channel = rig.channel(resolve=False)
    await channel.notify(begun("e1"))
    await channel.notify(ended("e1"))
    assert not rig.desk.is_resolved()
    assert len(rig.desk.all_notes()) == 1


KILLED = textwrap.dedent(
    """
    import asyncio, json, sys
    sys.path.insert(0, "tests")
    from alerts.notify.desk_settings import ServiceDeskConfig
    from alerts.notify.service_desk import ServiceDesk
    from test_alerts_service_desk import begun

    config = ServiceDeskConfig.model_validate(json.loads(sys.argv[1]))
    asyncio.run(ServiceDesk(config).notify(begun("e1")))
    """
)


async def test_a_kill_between_opening_a_ticket_and_knowing_it_opens_no_second(
    rig: Rig,
) -> None:
    processes: list[subprocess.Popen[bytes]] = []
    rig.desk.on_create = lambda: os.kill(processes[0].pid, signal.SIGKILL)
    command = [sys.executable, "-c", KILLED, msgspec.json.encode(rig.settings).decode()]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = functools.partial(subprocess.Popen, command, cwd=ROOT, env=env)
    processes.append(await asyncio.to_thread(start))
    assert await asyncio.to_thread(processes[0].wait, 60) == -signal.SIGKILL
    assert len(rig.desk.tickets) == 1
    rig.desk.on_create = lambda: None
    channel = rig.channel()
    product = load_product(rig.desk.product)
    if product.search_lag_s:
        # Not in a search yet: it waits as long as that may last.
        with pytest.raises(RetryLater) as failure:
            await channel.notify(begun("e1", is_retry=True))
        assert failure.value.after_s == product.search_lag_s
    rig.desk.index()
    await channel.notify(begun("e1", is_retry=True))
    assert len(rig.desk.tickets) == 1
    await rig.channel().notify(ended("e1"))
    assert rig.desk.is_resolved()


async def test_a_lost_answer_opens_no_second_ticket(rig: Rig) -> None:
    create = load_product(rig.desk.product).create
    server = rig.server
    server.fault_at = f"POST {create.path.replace('{table}', 'incident')}"
    server.fault, server.after = "close", True
    with pytest.raises(RetryLater) as failure:
        await rig.channel().notify(begun("e1"))
    server.fault = 0
    assert failure.value.may_have_arrived
    assert len(rig.desk.tickets) == 1
    rig.desk.index()
    product = load_product(rig.desk.product)
    assert (failure.value.after_s or 0) >= product.search_lag_s
    channel = rig.channel()
    if product.search_lag_s:
        with pytest.raises(RetryLater):
            await channel.notify(begun("e1", is_retry=True))
    await channel.notify(begun("e1", is_retry=True))
    assert len(rig.desk.tickets) == 1


async def test_a_note_tells_what_changed_and_only_once(rig: Rig) -> None:
    channel = rig.channel()
    page = begun("e1")
    await channel.notify(page)
    told = page.alerts[0].alert
    now = msgspec.structs.replace(
        told, affected={"devices": 9}, acknowledged_by="ada", acknowledged_ms=1
    )
    changed = build_page([now], "page", ["e1"], wall_ms())
    await channel.refresh(page, {"e1": told})
    assert rig.desk.all_notes() == []
    await channel.refresh(changed, {"e1": told})
    # Killed before it was written down: the same again, by another process.
    rig.desk.index()
    await rig.channel().refresh(changed, {"e1": told})
    [note] = rig.desk.all_notes()
    assert "Affected: 9 devices (was 2 devices, about 20 laptops)." in note
    assert "Acknowledged by ada." in note


async def test_a_ticket_that_a_person_closed_is_left_alone(rig: Rig) -> None:
    channel = rig.channel()
    await channel.notify(begun("e1"))
    await channel.notify(ended("e1"))
    notes = rig.desk.all_notes()
    rig.desk.index()
    await rig.channel().notify(ended("e1"))
    more = msgspec.structs.replace(ALERT, affected={"devices": 9})
    page = build_page([more], "page", ["e1"], wall_ms())
    await rig.channel().refresh(page, {"e1": ALERT})
    assert rig.desk.all_notes() == notes


async def test_a_fault_that_is_over_before_its_ticket_is_still_a_ticket(
    rig: Rig,
) -> None:
    await rig.channel().notify(ended("e1", parts=["both"]))
    assert rig.desk.titles() == [ALERT.summary]
    assert rig.desk.is_resolved()


async def test_an_end_whose_ticket_was_deleted_is_given_up_after_a_while(
    rig: Rig,
) -> None:
    with pytest.raises(RetryLater, match="not found yet"):
        await rig.channel().notify(ended("e1"))
    await rig.channel().notify(ended("e1", resolved_ms=wall_ms() - 700_000))
    assert rig.desk.tickets == []


async def test_wrong_fields_and_credentials_are_told_without_the_secret(
    rig: Rig,
) -> None:
    wrong = rig.channel(fields={"u_netwrok": "x"})
    with pytest.raises((DeliveryRefused, PartlyDelivered), match="u_netwrok"):
        await wrong.notify(begun("e1"))
    rig.place.write_text("wr0ng-" + SECRET)
    with pytest.raises(DeliveryRefused, match="answered 401") as failure:
        await rig.channel().notify(begun("e2"))
    assert SECRET not in str(failure.value)
    rig.place.unlink()
    with pytest.raises(RetryLater, match="cannot be read"):
        await rig.channel().notify(begun("e2"))


async def test_a_field_that_servicenow_ignores_is_named_and_the_ticket_is_kept(
    tmp_path: Path,
) -> None:
    rig = Rig("servicenow", tmp_path)
    fields = {"assignment_grp": "Network", "assignment_group": "Netwrok"}
    with rig.server, pytest.raises(PartlyDelivered) as failure:
        await rig.channel(fields=fields).notify(begun("e1"))
    assert "no field 'assignment_grp'; did you mean 'assignment_group'?" in str(
        failure.value
    )
    assert "assignment_group does not accept 'Netwrok'" in str(failure.value)
    assert isinstance(rig.desk, ServiceNow)
    # A query for a field that does not exist found everything; nothing was touched.
    assert rig.desk.others[0]["state"] == "1"


async def test_a_ticket_in_another_workspace_of_freshservice_is_found(
    tmp_path: Path,
) -> None:
    rig = Rig("freshservice", tmp_path)
    values = {**rig.settings["values"], "workspace": 0}
    more = {"values": values, "fields": {"workspace_id": 7}}
    with rig.server:
        await rig.channel(**more).notify(begun("e1"))
        rig.desk.index()
        # Another process does not remember the ticket.
        await rig.channel(**more).notify(ended("e1"))
    assert rig.desk.is_resolved()
    assert len(rig.desk.tickets) == 1


async def test_a_token_is_asked_for_once_and_again_when_it_was_withdrawn(
    tmp_path: Path,
) -> None:
    rig = Rig("halo", tmp_path)
    with rig.server:
        channel = rig.channel()
        await channel.notify(begun("e1"))
        assert rig.desk.tokens_given == 1
        assert isinstance(rig.desk, Halo)
        rig.desk.token_valid = False
        await channel.notify(begun("e2"))
        assert rig.desk.tokens_given == 2
    assert len(rig.desk.tickets) == 2


async def test_the_delivery_tells_a_desk_of_changes_once_even_after_a_restart(
    tmp_path: Path,
) -> None:
    rig = Rig("servicenow", tmp_path)
    settings = {"kind": "service_desk", **rig.settings}
    world = DeliveringWorld(tmp_path, {"desk": settings})
    channel = rig.channel()
    with rig.server:
        world.ends["desk"] = channel  # type: ignore[assignment]
        world.begin("e1")
        await world.deliver()
        world.change("e1", affected={"devices": 3})
        await world.delivery.refresh("desk", channel)
        world._start()
        await world.delivery.refresh("desk", channel)
        [note] = rig.desk.all_notes()
        assert "Affected: 3 devices (was -)." in note
        world.end("e1")
        await world.deliver()
        assert rig.desk.is_resolved()
        await world.delivery.refresh("desk", channel)
        assert len(rig.desk.all_notes()) == 2
    world.close()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ('product = "servicenwo"', "did you mean 'servicenow'"),
        ('product = "halo"\nuser = "x"', "knows who asks by one of client_id, token"),
        ('product = "servicenow"\nuser = "x"', "with its secret"),
        (
            'product = "jira"\nuser = "x"\npassword = {env = "P"}',
            "values.project is missing",
        ),
        (
            'product = "servicenow"\nuser = "x"\npassword = {env = "P"}\n'
            'values = {tabel = "incident"}',
            "has no such value; did you mean 'table'",
        ),
        ('product_file = "own.yaml"', "own.yaml: cannot be read"),
    ],
)
def test_wrong_settings_of_a_desk_are_one_sentence(
    settings: str, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "towpath.toml"
    lines = ["[alerts.channels.desk]", 'kind = "service_desk"', 'url = "https://d"']
    path.write_text("\n".join([*lines, settings]))
    config = read(path).alerts.channels["desk"]
    problems = list(config.problems())
    assert [problem for problem in problems if sentence in problem], problems


def test_a_councils_own_file_is_checked(tmp_path: Path) -> None:
    source = ROOT / "alerts" / "notify" / "desks" / "halo.yaml"
    own = tmp_path / "own.yaml"
    for old, new, sentence in (
        (
            "{title}",
            "{titel}",
            "create: nothing is called {titel}; did you mean 'title'",
        ),
        ("find_match:", "find_macth:", "find_macth"),
        ("title: HaloITSM", "title: [", "is not valid YAML"),
    ):
        own.write_text(source.read_text().replace(old, new))
        with pytest.raises(ValueError, match=r"own\.yaml") as failure:
            load_product("", own)
        assert sentence in str(failure.value)
    own.write_text(source.read_text())
    assert load_product("", own).title == "HaloITSM"


def test_placeholders_are_found_in_any_value() -> None:
    assert list(placeholders({"a": ["{x}", {"b": "{y} and {z}"}], "c": 1})) == [
        "x",
        "y",
        "z",
    ]


def test_alerts_of_any_text_fill_a_ticket(tmp_path: Path) -> None:
    strange = Alert(
        "r", {}, "info", "firing", 0, summary='"}\n{ticket_id} <b>\u202e' + "x" * 400
    )
    page = build_page([strange], "page", ["e1"], 1)
    rig = Rig("servicenow", tmp_path)
    with rig.server:
        values = rig.channel()._alert_values(page.alerts[0])
    assert len(values["title"]) <= 150
    assert "\n" not in values["title"]
    assert "<b>" not in values["text_html"]

"""The role `calls` of a whole Towpath: off by default, checked, and without people."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from call_planting import NAME, planted_records
from call_records import BEGIN_MS, PLANTED, TENANT, meeting
from graph_server import CLIENT, failed, graph_server
from hypothesis import given
from hypothesis import strategies as st

from collectors.calls.record_list import (
    PageHead,
    PageRefused,
    next_link,
    page_head,
    read_page,
)
from collectors.journal import JournalReader
from probes.wire.clock import wall_ms
from towpath.check import check_config
from towpath.config import TowpathConfig, read
from towpath.run import Installation

OVER_MS = BEGIN_MS + 900_000 + 10_800_000
ESTATE = """[[sites]]
id = "town-hall"
name = "Town Hall"
subnets = ["10.150.0.0/16"]
"""


def settings(folder: Path, calls: str) -> TowpathConfig:
    (folder / "estate.toml").write_text(ESTATE)
    file = folder / "towpath.toml"
    file.write_text(
        'state = "state"\nestate = "estate.toml"\nself_s = 0.2\n'
        f"[metrics]\nport = 0\n[store]\nflush_s = 0.1\n[calls]\n{calls}"
    )
    return read(file)


def enabled(url: str, authority: Path, folder: Path) -> str:
    (folder / "secret").write_text("a secret of the application")
    return (
        f'enabled = true\ntenant = "{TENANT}"\nclient_id = "{CLIENT}"\n'
        f'secret = {{ file = "secret" }}\nca_file = "{authority}"\n'
        f'graph_url = "{url}"\nsign_in_url = "{url}"\n'
    )


async def until(there: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not there():  # noqa: ASYNC110 - files
            await asyncio.sleep(0.05)


def rows_of(folder: Path) -> str:
    """Everything in the store's files, as text."""
    rows = ""
    for file in folder.glob("**/*.parquet"):
        # The writer merges files meanwhile.
        with contextlib.suppress(FileNotFoundError):
            rows += str(parquet.read_table(file).to_pylist())
    return rows


async def test_nothing_of_a_person_reaches_journal_store_files_or_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with graph_server(tmp_path) as server:
        odd = meeting(12)
        stream = odd["sessions"][0]["segments"][0]["media"][0]["streams"][0]
        stream["averageJitter"] = "of Winifred Ardingly"
        server.add(odd, {**meeting(12, number=3), "endDateTime": "10.150.0.2"})
        read, spoilt = planted_records(12)
        server.add({**read, "id": meeting(0, number=4)["id"]}, spoilt)
        server.faults.append(failed(400))
        config = settings(tmp_path, enabled(server.url, server.authority, tmp_path))
        config.state.mkdir()
        position = json.dumps({"written_ms": BEGIN_MS})
        (config.state / "calls.json").write_text(position)
        late_ms = OVER_MS - wall_ms()
        # The first run fails; the second reads what the first could not.
        for word in ("Microsoft Graph answered 400", "'records': 4"):
            async with Installation(
                config, ["store", "calls"], lambda: wall_ms() + late_ms
            ):
                await until(lambda word=word: word in rows_of(config.store.folder))  # type: ignore[misc]
        kept = rows_of(config.store.folder)
        reader = JournalReader(config.journal.folder, "look", {})
        async with reader:
            while (chunk := await reader.read(wait_s=0.0)) is not None:
                kept += repr([(b.source, b.schema, b.columns) for b in chunk.batches])
        assert "teams_calls" in kept
        assert "town-hall" in kept
        kept += "".join(map(str, capfd.readouterr()))
        files = [path for path in config.state.rglob("*") if path.is_file()]
        kept += "".join(path.read_bytes().decode("latin-1") for path in files)
        assert [word for word in (*PLANTED, NAME) if word in kept] == []


def test_it_is_off_by_default_and_needs_its_ids_and_one_way_to_sign_in(
    tmp_path: Path,
) -> None:
    assert not settings(tmp_path, "").calls.enabled
    for calls, sentence in (
        ("enabled = true", "expected tenant and client_id"),
        (
            f'enabled = true\ntenant = "{TENANT}"\nclient_id = "{CLIENT}"\n',
            "expected secret or certificate",
        ),
        ('tenant = "council.onmicrosoft.com"', "tenant"),
    ):
        with pytest.raises(ValueError, match=sentence):
            settings(tmp_path, calls)


def test_the_check_knows_what_calls_need(tmp_path: Path) -> None:
    calls = enabled("https://graph.microsoft.com", tmp_path / "ca.pem", tmp_path)
    calls += 'buildings = "buildings.tsv"\n[calls.gateways]\ngw-9 = ["198.51.100.9"]\n'
    (tmp_path / "buildings.tsv").write_text("10.9.0.0\tx\t24\tNew Depot\n")
    config = settings(tmp_path, calls)
    (tmp_path / "secret").unlink()
    found = check_config(config)
    problems = "\n".join(found.problems)
    assert "calls.gateways.gw-9: no VPN gateway is called that" in problems
    warned = "\n".join(found.warnings)
    assert "secret: cannot be read: No such file or directory: the role" in warned
    assert "calls.buildings: at no site of the estate: New Depot" in warned
    assert "calls.egress is not set" in warned
    (tmp_path / "buildings.tsv").write_text("10.9.0.0\tx\t99\tNew Depot\n")
    assert "buildings.tsv:1: expected a network" in "\n".join(
        check_config(config).problems
    )


def test_what_is_wrong_with_notifications_is_known_before_the_start(
    tmp_path: Path,
) -> None:
    for notifications, sentence in (
        ('url = "http://towpath.example/x"', "url"),
        ('url = "https://towpath.example/x"\nhost = "0.0.0.0"', "from elsewhere"),
        ('private_key = "key.pem"', "expected both certificate and private_key"),
    ):
        with pytest.raises(ValueError, match=sentence):
            settings(tmp_path, f"[calls.notifications]\n{notifications}")
    found = check_config(
        settings(
            tmp_path,
            '[calls.notifications]\nurl = "https://towpath.example/x"\nport = 8080\n'
            'certificate = "none.pem"\nprivate_key = "none.pem"\n',
        )
    )
    problems = "\n".join(found.problems)
    assert "calls.notifications: " in problems
    assert "calls.notifications.port is 8080, which is also web.port" in problems


def linked(link: str) -> PageHead:
    head = page_head(json.dumps({"value": [], "@odata.nextLink": link}).encode())
    assert head is not None
    return head


def test_the_next_page_is_only_followed_on_the_same_host() -> None:
    graph = "https://graph.microsoft.com"
    head = linked(f"{graph}/v1.0/$metadata#communications/x?$skip=1")
    assert next_link(head, graph) == f"{graph}/v1.0/communications/x?$skip=1"
    for other in (
        "https://graph.example/x",
        "http://graph.microsoft.com/x",
        "https://graph.microsoft.com:444/x",
        "https://graph.microsoft.com@graph.example/x",
        "https://[graph.microsoft.com/x",
        "/v1.0/x",
    ):
        with pytest.raises(PageRefused, match="another host"):
            next_link(linked(other), graph)


def test_a_list_is_read_whatever_its_rows_are() -> None:
    rows = [{"id": "../../secret", "endDateTime": "2026-09-21T14:20:00Z"}, None, 7]
    counted: Counter[str] = Counter()
    assert read_page(json.dumps({"value": rows}).encode(), counted) == []
    assert counted == {"no_time": 1}
    for body in (b"{}", b"[]", b"\xff", b"[" * 5000):
        with pytest.raises(PageRefused):
            read_page(body, counted)


@given(st.binary(max_size=60))
def test_no_bytes_are_taken_for_a_page(body: bytes) -> None:
    assert page_head(body) is None

"""An export of one laptop has what every place of the one list holds of it, and nothing
of another laptop."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path

import msgspec
from group_rows import results
from ingest_council import opened_registry

from collectors.batch import Batch, batch_samples
from collectors.ingest.body_quarantine import BodyQuarantine
from collectors.journal import Journal, JournalConfig, Quarantine
from collectors.personal_data import PLACES, Root, erase_agent, read_agent
from collectors.personal_export import gather_export, stored_rows, write_export
from collectors.personal_readers import rows_of
from collectors.server_measurements import CATALOGUE
from collectors.store import StoreConfig, open_store
from collectors.store.erasure import Erasures
from collectors.support_codes import SupportCodes, support_codes_file
from dashboards.web.api.written_requests import (
    WrittenAnswer,
    WrittenRequests,
    written_file,
)
from probes.wire.clock import wall_ms
from probes.wire.report import Enrolment

# What the store is asked for, instead of its files.
FROM_THE_STORE = {("store", "personal/**/*"), ("store", "tmp/*")}


def folders(root: Path) -> dict[Root, Path]:
    return {
        "journal": root / "journal",
        "store": root / "store",
        "bodies": root / "aside",
        "registry": root,
        "api": root,
        "broker": root / "broker",
    }


def rows(agents: list[str], now_ms: int) -> Batch:
    (made,) = batch_samples(
        results([0] * len(agents), "vpn", {"outcome": "ok"}, now_ms), "agent/x", now_ms
    )
    columns = [list(column) for column in made.columns]
    columns[1 + made.schema.tags.index("agent")] = list(agents)
    return msgspec.structs.replace(made, columns=tuple(columns))


async def planted(root: Path) -> tuple[str, str]:
    """Two laptops in every place of the list; returns their pseudonyms."""
    now_ms = wall_ms()
    with opened_registry(root) as registry:
        token = registry.admin.make_token("hall", 2, 1, now_ms)
        her, other = (
            registry.identities.enrol(Enrolment(token, device), now_ms)
            for device in ("a", "b")
        )
        for laptop in (her, other):
            new = registry.identities.renew(laptop.agent, laptop.secret, "", now_ms)
            registry.identities.confirm(laptop.agent, new.secret, now_ms)
            registry.admin.set_ring(laptop.agent, "pilot", now_ms, "alex")
    # Batches of both: no place may show one's rows to the other.
    both = rows([her.agent, other.agent], now_ms)
    config = JournalConfig(folder=root / "journal")
    async with Journal(config, "all", CATALOGUE) as journal:
        await journal.append(both)
    Quarantine(root / "journal" / "all" / "dead", "dead").put(both, "odd", now_ms)
    Quarantine(root / "store" / "aside", "store").put(both, "refused", now_ms)
    store_config = StoreConfig(folder=root / "store")
    async with open_store(store_config, CATALOGUE) as store:
        await store.write([both])
    bodies = BodyQuarantine(root / "aside", 200)
    (root / "broker").mkdir()
    users = []
    written = WrittenRequests(written_file(root / "alerts.sqlite"))
    codes = SupportCodes(support_codes_file(root / "agents.sqlite"), wall_ms)
    for agent in (her.agent, other.agent):
        codes.open(codes.make(agent).code, "council:grace", "Grace Hopper")
        Erasures(root / "store").request(agent, now_ms - 1, done=True)
        bodies.put(b'{"agent": "' + agent.encode(), "malformed", now_ms)
        users.append(f"{agent}:$7$101$salt$hash\n")
        written.begin("token t", f"key-of-{agent}", b"", now_ms)
        written.end(
            "token t", f"key-of-{agent}", WrittenAnswer(200, {}, agent.encode())
        )
    (root / "broker" / "users").write_text("".join(users))
    return her.agent, other.agent


def test_every_place_of_the_list_is_read_or_asked_for() -> None:
    unread = {(place.root, place.glob) for place in PLACES if place.read is None}
    assert unread == FROM_THE_STORE


async def test_an_export_has_a_laptop_from_every_place_and_no_other(
    tmp_path: Path,
) -> None:
    her, other = await planted(tmp_path)
    for place, records in read_agent(folders(tmp_path), her):
        assert records, f"nothing from {place.root}/{place.glob}"
        assert other not in json.dumps(records)
    async with open_store(StoreConfig(folder=tmp_path / "store"), CATALOGUE) as store:
        stored = await stored_rows(store, CATALOGUE, her, wall_ms())
    assert [row["measurement"] for row in stored] == ["vpn"]
    out = tmp_path / "her.zip"
    export = gather_export(folders(tmp_path), her, stored)
    write_export(out, export, wall_ms())
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() is None
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    readme = texts.pop("README.txt")
    lines = [line for text in texts.values() for line in text.splitlines()]
    assert len(lines) == export.count >= len(PLACES) - 1
    for name, text in texts.items():
        assert name in readme
        assert her in text
        assert other not in text
    for place in PLACES:
        assert place.holds in readme
    assert "figures of groups" in readme
    # A hash of a secret is nobody's to have, and says nothing.
    assert "secret_hash" not in "".join(texts.values())


async def test_an_export_after_an_erasure_has_the_request_only(tmp_path: Path) -> None:
    her, _ = await planted(tmp_path)
    with opened_registry(tmp_path) as registry:
        registry.admin.forget(her, wall_ms(), "alex")
        (tmp_path / "broker" / "users").write_text("")
    erase_agent(folders(tmp_path), her)
    left = {
        (place.root, place.glob)
        for place, records in read_agent(folders(tmp_path), her)
        if records
    }
    # The journal is not rewritten: its segments go within the hour.
    assert left == {("journal", "*/*.segment"), ("store", "erased/*")}


def test_rows_of_devices_are_nobodys() -> None:
    (batch,) = batch_samples(
        results([0], "vpn", {"outcome": "ok"}, 1_000), "agent/x", 1_000
    )
    assert not list(rows_of(batch, "nobody"))


def test_files_that_are_no_longer_what_they_were_are_left_out(tmp_path: Path) -> None:
    for name in (
        "journal/all/0000000001-00112233445566778899aabbccddeeff.segment",
        "journal/all/dead/dead.jsonl",
        "store/aside/store.jsonl",
        "store/erased/x.done",
        "aside/1-malformed.body",
        "broker/mosquitto.db",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff\x00 damaged")
    found = list(read_agent(folders(tmp_path), "agent-1"))
    assert all(not records for _, records in found)

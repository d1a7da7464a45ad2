"""What a DMZ node and its server keep of a laptop that has gone: nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
from test_dmz_published import view_of

from collectors.batch import Batch, Schema
from collectors.dmz.dmz_leftovers import remove_leftovers
from collectors.dmz.dmz_registry import DmzRegistry
from collectors.dmz.published_registry import have_lost_laptops
from collectors.ingest.body_quarantine import BodyQuarantine
from collectors.ingest.registry_records import RegistryState, SignIn
from collectors.journal import Quarantine
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from collectors.personal_data import Root


def test_a_node_keeps_nothing_aside_of_laptops_that_are_gone(tmp_path: Path) -> None:
    folders: dict[Root, Path] = {
        "journal": tmp_path / "journal",
        "bodies": tmp_path / "aside",
    }
    dead = Quarantine(folders["journal"] / "ingest" / "dead", "dead")
    for sender in ("agent/ours", "agent/erased", "dmz"):
        batch = msgspec.structs.replace(
            Batch("x", 1, Schema("vpn", ("agent",), ("x",)), ([1], ["any"], [1.0])),
            source=sender,
        )
        dead.put(batch, "does not fit", 1)
    BodyQuarantine(folders["bodies"], 9).put(b"erased", "malformed", 1)
    assert remove_leftovers(folders, lambda agent: agent == "ours") == 2
    left = (tmp_path / "journal" / "ingest" / "dead" / "dead.jsonl").read_text()
    assert "erased" not in left
    assert (left.count("agent/ours"), left.count('["dmz"')) == (1, 1)
    assert list(folders["bodies"].iterdir()) == []


async def test_a_node_looks_again_whenever_a_laptop_goes(tmp_path: Path) -> None:
    asked: list[list[bool]] = []
    registry = DmzRegistry(
        NatsConnection(NatsConfig(), "test"),
        tmp_path / "orders",
        7,
        lambda: 1,
        remove_leftovers=lambda is_enrolled: asked.append([*map(is_enrolled, "abc")]),
    )
    # Before it has the whole list, everybody would seem to have gone.
    await registry._tidy()
    assert asked == []
    for laptops, looks in (("ab", 1), ("ab", 1), ("abc", 1), ("ac", 2)):
        sign_ins = [SignIn(name, b"h", None, "hall") for name in laptops]
        registry.view = view_of(RegistryState(sign_ins, {}, {}))
        await registry._tidy()
        assert len(asked) == looks
    assert asked == [[True, True, False], [True, False, True]]


def test_only_a_part_that_lost_a_laptop_is_wiped() -> None:
    def part(*agents: str) -> bytes:
        sign_ins = [SignIn(agent, b"h", None, "hall") for agent in agents]
        return msgspec.msgpack.encode(sign_ins)

    before = {"laptops-00": part("a", "b"), "tokens": b"x"}
    assert not have_lost_laptops(before, {"laptops-00": part("a", "b", "c")})
    assert not have_lost_laptops(before, {"laptops-01": part(), "tokens": b"y"})
    assert have_lost_laptops(before, {"laptops-00": part("a", "c")})
    assert have_lost_laptops({"laptops-00": b"of another version"}, before)

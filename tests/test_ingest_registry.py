"""Who is enrolled: tokens, pseudonyms, revocation, several processes, crashes."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_council import (
    enrol,
    make_older,
    opened_registry,
    registry_config,
    wall_ms,
)

from collectors.batch import batch_samples, check_batch
from collectors.estate.estate_model import SMALL_SITES
from collectors.http import HttpRefusal
from collectors.ingest.enrolled_counts import agents_samples
from collectors.ingest.enrolment_tokens import TokenWish
from collectors.ingest.ingest_stats import IngestStats, ingest_sample
from collectors.ingest.pseudonym import (
    KeyRefused,
    key_id,
    pseudonym,
    read_key,
    rotate_key,
)
from collectors.ingest.registry import Registry
from collectors.ingest.registry_records import (
    EnrolledAgent,
    EnrolmentRefused,
    RegistryRefused,
)
from collectors.ingest.rejection_reasons import RejectionReason
from collectors.self_metrics import families as metrics
from collectors.server_measurements import CATALOGUE
from probes.wire.report import Enrolment

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOW_MS = 1_790_000_000_000


@given(st.binary(min_size=32, max_size=32), st.text(min_size=1, max_size=200))
def test_a_pseudonym_is_always_the_same_fits_the_wire_and_shows_nothing(
    key: bytes, device: str
) -> None:
    made = pseudonym(key, device)
    assert made == pseudonym(key, device)
    head, _, tail = made.partition("-")
    assert head == key_id(key)
    assert len(tail) == 32
    assert set(made) <= set("0123456789abcdef-")
    assert made != pseudonym(key[::-1] + b"x", device)
    assert made != pseudonym(key, device + "x")


def test_the_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "pseudonym.key"
    key = read_key(path)
    assert read_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["pseudonym.key"]


def test_a_key_others_may_read_or_that_is_damaged_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pseudonym.key"
    read_key(path)
    path.chmod(0o640)
    with pytest.raises(KeyRefused, match="mode 0640, expected 0600"):
        read_key(path)
    with pytest.raises(KeyRefused, match="0600"):
        Registry(
            registry_config(tmp_path).model_copy(update={"key_file": path})
        ).__enter__()
    path.chmod(0o600)
    for damage in ("", "abc", "zz" * 32, "ab" * 31):
        path.write_text(damage)
        with pytest.raises(KeyRefused, match="put the backup back"):
            read_key(path)


def test_many_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    path = tmp_path / "pseudonym.key"
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(read_key(path))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_after_a_rotation_old_laptops_still_report_and_new_names_have_a_new_id(
    tmp_path: Path,
) -> None:
    with opened_registry(tmp_path) as registry:
        before = enrol(registry, "LAPTOP-1")
        old, new = rotate_key(registry_config(tmp_path).key_file)
        assert before.agent.startswith(old)
        assert registry.verify(before.agent, before.secret) is not None
        after = enrol(registry, "LAPTOP-1")
        assert after.agent.startswith(new)
        assert {agent.agent for agent in registry.agents()} == {
            before.agent,
            after.agent,
        }
        later_ms = wall_ms() + 91 * DAY_MS
        registry.mark_seen(after.agent, later_ms)
        registry.save_seen()
        assert registry.admin.forget_unseen(later_ms - 90 * DAY_MS) == 1
        assert registry.verify(before.agent, before.secret) is None


def test_neither_secrets_nor_tokens_nor_device_ids_are_in_the_file(
    tmp_path: Path,
) -> None:
    with opened_registry(tmp_path) as registry:
        token = registry.admin.make_token("depot", 1, 7, NOW_MS)
        made = registry.identities.enrol(Enrolment(token, "SERIAL-4711"), NOW_MS)
    path = registry_config(tmp_path).path
    content = path.read_bytes()
    assert made.agent.encode() in content
    for hidden in (token, made.secret, "SERIAL-4711"):
        assert hidden.encode() not in content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_revoked_laptop_cannot_enrol_again_until_it_is_restored(
    tmp_path: Path,
) -> None:
    with opened_registry(tmp_path) as registry:
        laptop = enrol(registry, "LAPTOP-1")
        assert registry.admin.revoke(laptop.agent, NOW_MS, "test")
        assert not registry.admin.revoke("nobody", NOW_MS, "test")
        assert registry.verify(laptop.agent, laptop.secret) is None
        assert registry.broker_users() == []
        with pytest.raises(EnrolmentRefused, match="revoked"):
            enrol(registry, "LAPTOP-1")
        assert registry.admin.restore(laptop.agent, NOW_MS, "test")
        assert registry.verify(laptop.agent, laptop.secret) is not None
        assert registry.admin.forget(laptop.agent, NOW_MS, "test")
        assert registry.agents() == []


def test_another_process_sees_a_change_at_its_next_look(tmp_path: Path) -> None:
    with opened_registry(tmp_path) as here, opened_registry(tmp_path) as there:
        laptop = enrol(here, "LAPTOP-1")
        assert there.verify(laptop.agent, laptop.secret) is None
        assert there.refresh()
        assert not there.refresh()
        assert there.verify(laptop.agent, laptop.secret) is not None
        there.admin.revoke(laptop.agent, NOW_MS, "test")
        assert here.refresh()
        assert here.verify(laptop.agent, laptop.secret) is None


def test_a_token_is_not_used_twice_by_processes_that_race(tmp_path: Path) -> None:
    with opened_registry(tmp_path) as registry:
        token = registry.admin.make_token("depot", 5, 7, NOW_MS)
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from collectors.ingest.ingest_config import RegistryConfig\n"
        "from collectors.ingest.registry_records import EnrolmentRefused\n"
        "from collectors.ingest.registry import Registry\n"
        "from probes.wire.report import Enrolment\n"
        "folder, token, name = sys.argv[1:]\n"
        "config = RegistryConfig(path=Path(folder) / 'agents.sqlite',\n"
        "    key_file=Path(folder) / 'keys' / 'pseudonym.key')\n"
        "done = 0\n"
        "with Registry(config) as registry:\n"
        "    for n in range(5):\n"
        "        try:\n"
        "            wish = Enrolment(token, f'{name}-{n}')\n"
        f"            registry.identities.enrol(wish, {NOW_MS})\n"
        "            done += 1\n"
        "        except EnrolmentRefused:\n"
        "            pass\n"
        "print(done)\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path), token, name],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b", "c")
    ]
    assert sum(int(process.communicate(timeout=60)[0]) for process in running) == 5
    with opened_registry(tmp_path) as registry:
        assert len(registry.agents()) == 5


def test_the_time_a_laptop_was_last_seen_is_kept_to_the_hour(tmp_path: Path) -> None:
    with opened_registry(tmp_path) as registry:
        laptop = enrol(registry, "LAPTOP-1")
        registry.mark_seen(laptop.agent, NOW_MS)
        registry.mark_seen(laptop.agent, NOW_MS + 1)
        registry.mark_seen("nobody", NOW_MS)
        (agent,) = registry.agents()
        assert agent.last_seen_ms == NOW_MS - NOW_MS % HOUR_MS
        registry.mark_seen(laptop.agent, NOW_MS - 5 * HOUR_MS)
        assert registry.agents() == [agent]
    with opened_registry(tmp_path) as again:
        assert again.agents() == [agent]


def test_a_clock_that_was_years_ahead_hides_no_silence(tmp_path: Path) -> None:
    with opened_registry(tmp_path) as registry:
        laptop = enrol(registry, "LAPTOP-1")
        hour_ms = NOW_MS - NOW_MS % HOUR_MS
        for seen_ms in (NOW_MS + 700 * DAY_MS, NOW_MS, NOW_MS - 2 * HOUR_MS):
            registry.mark_seen(laptop.agent, seen_ms)
            (agent,) = registry.agents()
        assert agent.last_seen_ms == hour_ms


def test_a_registry_of_a_newer_towpath_is_left_alone(tmp_path: Path) -> None:
    with opened_registry(tmp_path):
        pass
    connection = sqlite3.connect(registry_config(tmp_path).path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with (
        pytest.raises(RegistryRefused, match="newer Towpath"),
        opened_registry(tmp_path),
    ):
        pass


def test_a_file_that_is_no_registry_is_one_sentence(tmp_path: Path) -> None:
    registry_config(tmp_path).path.write_bytes(b"something else altogether" * 100)
    with (
        pytest.raises(RegistryRefused, match=r"agents\.sqlite cannot be opened"),
        opened_registry(tmp_path),
    ):
        pass


def test_self_measurements_are_in_the_catalogue() -> None:
    stats = IngestStats(accepted=3, refused=1)
    agents = [
        EnrolledAgent("a", "depot", 0, NOW_MS - NOW_MS % HOUR_MS, 0),
        EnrolledAgent("b", "depot", 0, NOW_MS - 3 * HOUR_MS, 0),
        EnrolledAgent("c", "depot", 0, NOW_MS - 40 * DAY_MS, 0),
        EnrolledAgent("d", "depot", 0, NOW_MS, 1),
        EnrolledAgent("e", "library", 0, 0, 0),
    ]
    stats.reasons[RejectionReason.BUSY] += 2
    stats.count_refused_connection(HttpRefusal.HANDSHAKE)
    samples = [ingest_sample(stats, "all", "https", NOW_MS, (5, 3))]
    samples += agents_samples(agents, 2, NOW_MS)
    for batch in batch_samples(samples, "self", NOW_MS):
        check_batch(batch, CATALOGUE)
    assert samples[0].fields["accepted"] == 3
    for reason in (*RejectionReason, *HttpRefusal):
        assert f"refused_{reason}" in samples[0].fields
    families = {family.name: family for family in metrics(samples, CATALOGUE)}
    busy = families["towpath_self_ingest_refused_busy"]
    assert busy.type == "counter"
    assert [(sample.name, sample.value) for sample in busy.samples] == [
        ("towpath_self_ingest_refused_busy_total", 2.0)
    ]
    assert families["towpath_self_ingest_refused_handshake"].samples[0].value == 1
    assert families["towpath_self_ingest_strangers"].type == "gauge"
    assert families["towpath_self_ingest_strangers"].samples[0].value == 3
    assert {s.tags["home_site"]: s.fields for s in samples[1:]} == {
        "depot": {"enough": 1, "expected": 5, "heard": 5},
        "library": {"enough": 0},
        SMALL_SITES: {"enough": 0},
    }


def test_counts_of_a_sites_laptops_show_nobody_who_comes_or_goes() -> None:
    def counts(**sites: int) -> dict[str, object]:
        agents = [
            EnrolledAgent(f"{site}{n}", site, 0, NOW_MS, 0)
            for site, count in sites.items()
            for n in range(count)
        ]
        return {
            sample.tags["home_site"]: sample.fields.get("heard")
            for sample in agents_samples(agents, 10, NOW_MS)
        }

    assert counts(hall=11, a=9, b=8) == counts(hall=15, a=7, b=9) == {
        "hall": 15, "a": None, "b": None, SMALL_SITES: 20,
    }  # fmt: skip
    assert counts(hall=30, a=9) == {"hall": 30, "a": None, SMALL_SITES: None}


def test_the_audit_says_who_did_what_and_forgets_an_erased_laptop(
    tmp_path: Path,
) -> None:
    with opened_registry(tmp_path) as registry:
        token = registry.admin.add_token(TokenWish("depot", 1, 7), NOW_MS, "alex")
        agent = registry.identities.enrol(Enrolment(token, "a"), NOW_MS).agent
        registry.admin.revoke(agent, NOW_MS + 1, "sam")
        registry.admin.restore(agent, NOW_MS + 2, "sam")
        (shown,) = registry.admin.tokens()
        done = [
            (entry.who, entry.what, entry.subject) for entry in registry.admin.audit()
        ]
        assert done == [
            ("sam", "laptop restored", agent),
            ("sam", "laptop revoked", agent),
            ("alex", "token made", shown.id),
        ]
        registry.admin.forget(agent, NOW_MS + 3, "kim")
        assert all(entry.subject != agent for entry in registry.admin.audit())
        assert registry.admin.audit()[0].what == "laptop erased"
        assert not registry.admin.revoke("nobody", NOW_MS + 4, "kim")
        assert len(registry.admin.audit()) == 4
        assert registry.admin.forget_deeds(NOW_MS + 2) == 2
        assert [entry.who for entry in registry.admin.audit()] == ["kim", "sam"]


@pytest.mark.parametrize("format", [1, 2, 3])
def test_a_file_of_an_older_format_is_upgraded_and_keeps_its_laptops(
    tmp_path: Path, format: int
) -> None:
    with opened_registry(tmp_path) as registry:
        token = registry.admin.make_token("depot", 2, 7, NOW_MS)
        laptop = registry.identities.enrol(Enrolment(token, "a"), NOW_MS)
    make_older(registry_config(tmp_path).path, format)
    with opened_registry(tmp_path) as registry:
        assert registry.verify(laptop.agent, laptop.secret) is not None
        registry.identities.enrol(Enrolment(token, "b"), NOW_MS)
        assert len(registry.agents()) == 2
        assert registry.broker_users()

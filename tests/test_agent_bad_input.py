"""Every fault around a laptop becomes a reason and a sentence, and nothing is lost.

Beside these: no name server, IPv6 alone, a dead and a silent reflector in
`test_probes_bad_networks.py`; a sign-in page in `test_probes_web_proxy.py`; a revoked
credential in `test_agent_end_to_end.py`; a wrong clock in `test_agent_clock.py`.
"""

import asyncio
import gc
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import services
from ndt7_reflector import make_certificate
from test_agent_mqtt import WHO, spooled
from test_agent_spool import Clock, ids, report
from test_agent_status import NOW_MS

from collectors.ingest.certificate import make_certificates
from probes.agent.enrol import enrol
from probes.agent.private_folder import mend_folder
from probes.agent.publish_https import HttpsPublisher
from probes.agent.publish_mqtt import MqttPublisher
from probes.agent.report_delivery import Later, ReportDelivery
from probes.agent.server_connection import ServerConnection
from probes.agent.settings import Mqtt, Settings, SpoolLimits
from probes.agent.spool import Spool
from probes.diagnosis.sent_log import SentLog
from probes.wire.atomic_file import replace_file


async def test_a_certificate_out_of_time_makes_one_think_of_the_clock(
    tmp_path: Path,
) -> None:
    folder = make_certificate(tmp_path, datetime.now(UTC) + timedelta(days=300))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context
    )
    address = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    async with (
        server,
        ServerConnection(address, WHO, str(folder / "cert.pem"), "s") as out,
    ):
        with spooled(tmp_path / "state", 2) as spool:
            delivery = ReportDelivery(
                spool, HttpsPublisher(out), SentLog(tmp_path), lambda: NOW_MS
            )
            assert await delivery.deliver() is not None
            assert "certificate is not yet valid; this laptop's clock" in (
                delivery.trouble
            )
            assert "is this laptop's clock right?" in delivery.trouble
            assert spool.waiting == 2
        # Whose certificate is not trusted is not believed about the time either.
        assert out.clock_ahead_s is None


@pytest.mark.parametrize(
    ("days", "says"), [(730, "is not yet valid"), (-730, "has expired")]
)
async def test_a_laptop_with_a_clock_two_years_off_learns_why_it_cannot_enrol(
    tmp_path: Path, days: int, says: str
) -> None:
    """The server's certificate as such a laptop sees it."""
    folder = make_certificate(tmp_path, datetime.now(UTC) + timedelta(days=days))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context
    )
    address = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    ca_file, now = str(folder / "cert.pem"), datetime.now(UTC)
    async with server:
        with pytest.raises(Later, match=says) as error:
            await enrol(address, "t", tmp_path / "state", ca_file, "s")
    assert f"this laptop's clock says {now.day} {now:%B %Y}, " in str(error.value)
    assert "is this laptop's clock right?" in str(error.value)
    # No use of the token is spent, and the next attempt is the same laptop's.
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["device"]


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.service
async def test_a_broker_with_a_strange_certificate_gets_nothing_and_is_named(
    tmp_path: Path,
) -> None:
    strange = make_certificates(tmp_path / "strange")
    ours = make_certificates(tmp_path / "ours")
    listener = f"certfile {strange.certificate}\nkeyfile {strange.private_key}\n"
    with services.running(services.mosquitto(tmp_path / "broker", listener)) as broker:
        for port, says in (
            (broker.port, "has a certificate that is not trusted"),
            (services.free_port(), "refused the connection"),
        ):
            settings = Settings(
                transport="mqtt",
                mqtt=Mqtt("localhost", port),
                ca_file=str(ours.authority),
            )
            with spooled(tmp_path / str(port), 1) as spool:
                async with MqttPublisher(settings, WHO, connect_s=3) as publisher:
                    with pytest.raises(Later, match=says):
                        await publisher.send(spool.oldest(1, 100))
                assert spool.waiting == 1
    # The library leaves a socket behind: here and now, not in some later test.
    gc.collect()


def test_the_agents_folder_is_narrowed_and_nobody_elses_is(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir(mode=0o755)
    own.chmod(0o755)
    with Spool(own, SpoolLimits(), Clock()) as spool:
        spool.put(report("a"))
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert stat.S_IMODE((own / "spool.sqlite").stat().st_mode) == 0o600

    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    (shared / "minutes.odt").write_text("of a meeting")
    replace_file(shared / "device", b"0" * 32, durable=True)
    warning = mend_folder(shared)
    assert "can be read by others (mode 0755, expected 0700)" in warning
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
    for_all = tmp_path / "tmp"
    for_all.mkdir()
    for_all.chmod(0o1777)
    assert mend_folder(for_all)
    assert stat.S_IMODE(for_all.stat().st_mode) == 0o1777


def test_what_is_on_disk_needs_no_more_than_a_rollback(tmp_path: Path) -> None:
    """What a power cut leaves: the database as it was in the middle of a write, and the
    journal that takes it back."""
    with Spool(tmp_path / "a", SpoolLimits(), Clock()) as spool:
        for number in range(50):
            spool.put(report(f"r{number}", 200))
        assert spool._db is not None
        (synchronous,) = spool._db.execute("PRAGMA synchronous").fetchone()
        (journal,) = spool._db.execute("PRAGMA journal_mode").fetchone()
        assert (synchronous, journal) == (2, "delete")
        # A write under way, spilled to the disk before it is committed.
        spool._db.execute("PRAGMA cache_size=1")
        spool._db.execute("BEGIN")
        spool._db.execute("DELETE FROM report WHERE seq > 5")
        spool._db.execute(
            "INSERT INTO report VALUES (99, 'x', 1, zeroblob(90000), 1, 0, 1)"
        )
        torn = tmp_path / "b"
        torn.mkdir(mode=0o700)
        for name in ("spool.sqlite", "spool.sqlite-journal"):
            (torn / name).write_bytes((spool.path.parent / name).read_bytes())
        spool._db.execute("ROLLBACK")
    assert (torn / "spool.sqlite-journal").stat().st_size > 0
    with Spool(torn, SpoolLimits(), Clock()) as spool:
        assert ids(spool) == [f"r{number}" for number in range(50)]
        assert (spool.lost, spool.trouble) == ("", "")

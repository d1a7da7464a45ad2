"""The page "Is it me?", and the incidents that staff see on it."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from accessible import findings
from ingest_council import door
from test_agent_status import NOW_MS, result, status

from alerts.alert import Alert
from alerts.staff_incidents import KnownIncidents, incidents
from collectors.estate.estate_model import Estate, Site
from probes.agent.publish_https import HttpsPublisher
from probes.agent.server_connection import ServerConnection
from probes.diagnosis.agent_status import (
    Status,
    known_incidents,
    status_file,
    write_status,
)
from probes.diagnosis.is_it_me import page_folder, show, write_page
from probes.diagnosis.is_it_me_page import STYLE, page
from probes.diagnosis.sent_log import Sending, SentLog, sendings
from probes.wire.policy import Incident, Policy
from probes.wire.report import Enrolment, Report, Whereabouts

CSS = STYLE.read_text("utf-8")
PAIRS = [
    *((text, "page", 4.5) for text in ("ink", "muted", "accent")),
    *((text, "panel", 4.5) for text in ("ink", "muted", "accent")),
    ("ok", "ok-back", 4.5),
    ("bad", "bad-back", 4.5),
    ("ink", "ok-back", 4.5),
    ("ink", "bad-back", 4.5),
    ("ink", "warn-back", 4.5),
    ("ink", "none-back", 4.5),
    ("ok", "page", 3.0),
    ("bad", "page", 3.0),
    ("warn", "page", 3.0),
    ("focus", "focus-back", 4.5),
]  # fmt: skip
SENT = [Sending(NOW_MS - 60_000, ("vpn", "web"), 3, 4200)]
TROUBLED = status(
    whereabouts=Whereabouts(place="home", connection="wifi", vpn="up"),
    last=(
        result("wifi", signal_dbm=-84),
        result("call_path", rtt_ms=80, loss_ratio=0.04, poor=1),
        result("path", provider_rtt_ms=12, provider_loss_ratio=0.0),
        result("web", "captive_portal", age_s=9000),
    ),
    incidents=(Incident("The line of Library <b>is</b> down", NOW_MS - 600_000),),
    policy_ms=NOW_MS - 120_000,
    quiet="nothing is measured: paused until 14:05 on 3 March",
    paused_ms=NOW_MS + 60_000,
    delivery_trouble="the broker is away",
)


@pytest.mark.parametrize(
    "shown", [None, status(), TROUBLED, status(stopped=True)], ids=str
)
def test_the_page_is_accessible_and_stands_alone(shown: Status | None) -> None:
    html = page(shown, SENT, NOW_MS, CSS)
    assert findings(html, CSS, PAIRS) == []
    assert not re.search(r"<script|<link|<img|@import|url\(|https?:|src=", html)
    assert "default-src 'none'" in html
    hrefs = re.findall(r'href="([^"]*)"', html)
    assert hrefs == ["#main"]


def test_the_page_shows_what_is_wrong_what_to_do_and_known_incidents() -> None:
    html = page(TROUBLED, SENT, NOW_MS, CSS)
    for text in (
        "Your Wi-Fi is weak, so calls may be poor; your line is fine.",
        "Move nearer to the access point",
        "The line of Library &lt;b&gt;is&lt;/b&gt; down, since",
        "paused until 14:05",
        "Measuring starts again by itself",
        "Results cannot be sent at the moment: the broker is away.",
        "<td>VPN, web service</td><td>4.2 kB</td>",
        "(no SSID, no BSSID)",
        "What is working",
        '<th scope="row">Wi-Fi</th><td>Weak signal, -84 dBm</td><td>1 minute ago</td>',
        "<td>Poor: delay 80 ms, 4% of packets lost</td>",
        "<td>Is behind a sign-in page: open your browser and sign in</td>",
    ):
        assert text in html
    assert "The agent has not run here yet." in page(None, [], NOW_MS, CSS)
    assert "Nothing has been sent." in page(None, [], NOW_MS, CSS)
    forbidden = msgspec.structs.replace(TROUBLED, longest_pause_s=0)
    assert "towpath-agent pause" not in page(forbidden, [], NOW_MS, CSS)


def test_technical_figures_are_only_in_the_details_for_it() -> None:
    html = page(TROUBLED, SENT, NOW_MS, CSS)
    shown, details = html.split("<details><summary>Figures for IT support</summary>")
    assert "RTT 80 ms, packet loss 4%, rated poor yes" in details
    assert "<td>none</td><td>captive_portal</td>" in details
    assert not re.search(r"RTT|PDV|DSCP|captive_portal|_ms|_ratio", shown)


def test_incidents_are_not_shown_once_the_report_is_hours_old() -> None:
    assert len(known_incidents(TROUBLED, NOW_MS)) == 1
    assert known_incidents(TROUBLED, NOW_MS + 3 * 3_600_000) == []
    assert (
        known_incidents(msgspec.structs.replace(TROUBLED, policy_ms=None), NOW_MS) == []
    )


def test_the_page_is_written_for_its_user_alone_and_opened(tmp_path: Path) -> None:
    write_status(status_file(tmp_path / "state"), TROUBLED)
    path = write_page(tmp_path / "state", tmp_path / "Towpath", NOW_MS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    opened: list[str] = []
    assert show(path, lambda url: bool(opened.append(url)) or True)
    assert opened == [path.as_uri()]
    assert not show(path, lambda url: False)


@pytest.mark.skipif(sys.platform != "linux", reason="browsers on Linux")
def test_the_page_is_in_a_folder_that_every_browser_can_read(tmp_path: Path) -> None:
    hidden = tmp_path / ".local" / "state" / "towpath-agent"
    assert page_folder(hidden, tmp_path) == tmp_path / "Towpath"
    assert page_folder(Path("/var/lib/towpath-agent"), tmp_path).name == "towpath-agent"


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    finished = subprocess.run(
        [
            sys.executable,
            "-m",
            "probes.agent.agent_cli",
            "is-it-me",
            "--no-open",
            "--to",
            tmp_path,
        ],
        env={"TOWPATH_AGENT_STATE_FOLDER": str(tmp_path / "state"), "PATH": "/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    assert str(tmp_path / "is-it-me.html") in finished.stdout
    assert "<h1>Is it me?</h1>" in (tmp_path / "is-it-me.html").read_text()


def test_the_log_lists_deliveries_with_time_kinds_and_bytes(tmp_path: Path) -> None:
    def body(id: str, *probes: str) -> bytes:
        results = tuple(result(probe) for probe in probes)
        report = Report(1, id, "a", NOW_MS, "s", Whereabouts(), results)
        return msgspec.json.encode(report)

    log = SentLog(tmp_path)
    log.append(1000, [body("r1", "vpn"), body("r2", "web", "vpn")])
    log.append(2000, [body("r3", "agent")])
    lines = log.last(100)
    logged = sendings([*lines, "{torn", '{"sent_ms": "x"}'])
    assert [(entry.sent_ms, entry.kinds, entry.reports) for entry in logged] == [
        (2000, ("agent",), 1),
        (1000, ("vpn", "web"), 2),
    ]
    assert sum(entry.bytes for entry in logged) == sum(len(line) for line in lines)


# Incidents shown to staff.

ESTATE = Estate(
    sites=(
        Site(id="lib", name="Central Library", subnets=("127.0.0.0/8",)),
        Site(id="hall", name="Hall"),
        Site(id="depot", name="Depot", subnets=("10.9.0.0/16",)),
    )
)


def alert(rule: str, site: str = "", since_ms: int = 1000, **more: object) -> Alert:
    usual = Alert(rule, {"line": "l-1"}, "critical", "firing", since_ms, site)
    return msgspec.structs.replace(usual, **more)


def test_staff_see_incidents_at_their_site_and_in_shared_services() -> None:
    alerts = [
        alert("line_down", "lib", 3000),
        alert("line_down", "hall"),
        alert("line_full_up", "lib", 5000),
        alert("line_full_down", "lib", 4000),
        alert("vpn_gateway_down", "hall", 2000),
        alert("device_unreachable", "lib"),
        alert("authentication_failures", "lib"),
        alert("site_unreachable", "lib", state="pending"),
        alert("site_unreachable", "lib", suppressed_by="line_down/line=l-1"),
    ]
    assert incidents(alerts, ESTATE, {"lib"}) == [
        Incident("A VPN gateway of the council does not answer", 2000),
        Incident("The line of Central Library is down", 3000),
        Incident("The line of Central Library is full", 4000),
    ]
    assert [shown.since_ms for shown in incidents(alerts, ESTATE, {""})] == [2000]
    # The agent can decode what the server sends.
    policy = Policy(incidents=tuple(incidents(alerts, ESTATE, {"lib"})))
    assert msgspec.json.decode(msgspec.json.encode(policy), type=Policy) == policy


def test_the_rules_behind_incidents_exist() -> None:
    from alerts import staff_incidents as room
    from alerts.rule_files import load_rules
    from collectors.server_measurements import CATALOGUE

    rules = {rule.id for rule in load_rules(CATALOGUE, None)}
    assert set(room._EVERYBODY) | set(room._OF_A_SITE) <= rules


def test_without_a_readable_alert_store_there_are_no_incidents(tmp_path: Path) -> None:
    path = tmp_path / "alerts.sqlite"
    known = KnownIncidents(path, lambda: ESTATE, lambda: 0.0)
    assert known({"lib"}) == []
    path.write_bytes(b"no database at all, but long enough to be looked at" * 99)
    assert KnownIncidents(path, lambda: ESTATE)({"lib"}) == []


async def test_a_laptops_policy_holds_the_incidents_at_its_site(
    tmp_path: Path,
) -> None:
    open_now = [alert("line_down", "hall", 3000), alert("line_down", "lib", 2000)]
    async with door(
        tmp_path,
        incidents=lambda sites: incidents(open_now, ESTATE, sites),
        estate=lambda: ESTATE,
    ) as council:
        token = council.registry.admin.make_token("hall", 1, 1, NOW_MS)
        who = council.registry.identities.enrol(Enrolment(token, "0" * 32), NOW_MS)
        ca, address = str(council.certificates.authority), council.ingest.port
        async with ServerConnection(
            f"https://127.0.0.1:{address}", who, ca, "s"
        ) as out:
            publisher = HttpsPublisher(out)
            policy = await publisher.policy()
            assert policy is not None
            assert policy.incidents == (Incident("The line of Hall is down", 3000),)
            # A laptop in another site's network receives that site's incidents too.
            visiting = await publisher.policy("lib")
            assert visiting is not None
            assert [shown.since_ms for shown in visiting.incidents] == [2000, 3000]
            # A laptop does not receive incidents at a site that it is not in.
            assert await publisher.policy("depot") == policy
            # An unchanged policy is not sent again; the end of an incident changes it.
            assert await publisher.policy() is None
            open_now.clear()
            policy = await publisher.policy()
            assert policy is not None
            assert policy.incidents == ()

"""The agent's state in plain words, for the person at the laptop.

The running agent writes `status.json` next to its spool, and `towpath-agent status`
reads it. Nothing here is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from probes.diagnosis.local_time import local_time_text
from probes.diagnosis.result_figures import figure_lines
from probes.diagnosis.support_text import support_lines
from probes.wire.atomic_file import PRIVATE
from probes.wire.counted_text import counted
from probes.wire.durations import rough_duration_text
from probes.wire.number_text import capitalised
from probes.wire.policy import Incident
from probes.wire.probe_list import probe_title
from probes.wire.report import Result, Whereabouts
from probes.wire.result_summary import result_title, summary
from probes.wire.state_file import StateFile
from probes.wire.support_code import SupportCode
from probes.wire.verdict import LaptopVerdict, verdict

FILE = "status.json"
STALE_MS = 900_000
# By default the agent fetches the policy every hour.
KNOWN_MS = 2 * 3_600_000
_LINKS = {
    "wired": ", on a cable",
    "wifi": ", on Wi-Fi",
    "mobile": ", on a mobile connection",
}


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What the running agent knows about itself at one time.

    `network_ms` is when the laptop joined the network it is in now. `stops`: what the
    council has stopped, `stop_faults`: orders to stop that do nothing, and why.
    """

    written_ms: int
    started_ms: int
    software: str
    server: str
    agent: str
    home_site: str = ""
    stopped: bool = False
    whereabouts: Whereabouts = Whereabouts()
    place_reason: str = ""
    network_ms: int = 0
    clock_wrong_ms: int = 0
    quiet: str = ""
    stops: tuple[str, ...] = ()
    stop_faults: tuple[str, ...] = ()
    incidents: tuple[Incident, ...] = ()
    paused_ms: int = 0
    longest_pause_s: int = 86_400
    last: tuple[Result, ...] = ()
    waiting: int = 0
    dropped: int = 0
    spool_trouble: str = ""
    spool_lost: str = ""
    delivered: int = 0
    delivered_ms: int | None = None
    delivery_trouble: str = ""
    policy_ms: int | None = None
    refused: dict[str, int] = {}
    next_ms: dict[str, int] = {}
    spent_bytes: int = 0
    budget_bytes: int = 0
    spent_today_bytes: int = 0
    budget_today_bytes: int = 0
    left_out: int = 0
    support: SupportCode = SupportCode()


def status_file(folder: Path, mode: int = PRIVATE) -> StateFile:
    """The file of the status in `folder`. A full disk loses it; the agent goes on."""
    return StateFile(folder / FILE, mode=mode, durable=False)


def write_status(file: StateFile, status: Status) -> None:
    file.write(msgspec.json.encode(status))


def read_status(folder: Path) -> Status | None:
    """The last status that the agent wrote, or None if there is none to read; why it
    cannot be read is logged."""
    return status_file(folder).read(_decode_status, None)


def _decode_status(content: bytes) -> Status | None:
    return msgspec.json.decode(content, type=Status)


def current_verdict(status: Status, now_ms: int) -> LaptopVerdict:
    """The verdict on the latest results from the network the laptop is in. Pure."""
    return verdict(status.last, now_ms, status.whereabouts, status.network_ms)


def advice_lines(verdict: LaptopVerdict) -> list[str]:
    """The headline, then each problem with what to do about it. Pure."""
    lines = [capitalised(verdict.headline) + "."]
    if len(verdict.problems) == 1 and verdict.problems[0].advice:
        lines.append(f"What to do: {verdict.problems[0].advice}")
    elif len(verdict.problems) > 1:
        lines.append("What to do, starting with the first:")
        lines += [
            f"  {number}. {capitalised(problem.says)}. {problem.advice}".rstrip()
            for number, problem in enumerate(verdict.problems, start=1)
        ]
    return lines


def known_incidents(status: Status, now_ms: int) -> list[str]:
    """Problems that the council's server reported, while the report is recent. Pure."""
    if status.policy_ms is None or now_ms - status.policy_ms > KNOWN_MS:
        return []
    return [
        f"{incident.says}, since {local_time_text(incident.since_ms)}"
        for incident in status.incidents
    ]


def quiet_sentences(status: Status) -> list[str]:
    """Why nothing, or not everything, is measured. Pure."""
    quiet = [status.quiet] if status.quiet and status.quiet not in status.stops else []
    texts = [*status.stops, *quiet]
    return [capitalised(text).rstrip(".") + "." for text in texts]


def status_lines(status: Status | None, now_ms: int) -> list[str]:
    """The lines of `towpath-agent status`. Pure."""
    if status is None:
        return [
            "The agent has not run on this laptop yet, or its last status is lost "
            "(towpath-agent run)."
        ]
    age_ms = now_ms - status.written_ms
    lines = []
    if status.stopped or age_ms > STALE_MS:
        lines.append(f"The agent is not running. It last ran {ago(age_ms)}.")
    lines += advice_lines(current_verdict(status, now_ms))
    lines += [
        f"Your council knows of this problem: {incident}."
        for incident in known_incidents(status, now_ms)
    ]
    lines += quiet_sentences(status)
    lines.append(status_place(status))
    lines += [f"{capitalised(text)}." for text in _delivery(status, now_ms)]
    if status.last:
        lines += ["", "Latest measurements:"]
        lines += summary_lines(status.last, now_ms)
    due = sorted((at, job) for job, at in status.next_ms.items() if at > now_ms)
    if due and not status.stopped:
        next_jobs = [f"{probe_title(job)} in {_until(at - now_ms)}" for at, job in due]
        lines += ["", "Next: " + ", ".join(next_jobs)]
    today = _data_used(status.spent_today_bytes, status.budget_today_bytes)
    month = _data_used(status.spent_bytes, status.budget_bytes)
    lines += ["", f"Data used today: {today}. This month: {month}."]
    if status.left_out:
        lines.append(
            f"Measurements not made to keep to that: {status.left_out} since the start."
        )
    lines += [
        f"Your council knows this laptop as {status.agent}.",
        *support_lines(status.support, now_ms),
        "See what is collected: towpath-agent what-we-collect. "
        "See exactly what was sent: towpath-agent sent.",
    ]
    if status.last:
        lines += ["", "Figures for IT support:", *figure_lines(status.last)]
    return lines


def _data_used(spent_bytes: int, budget_bytes: int) -> str:
    used = f"{spent_bytes / 1e6:.1f} MB"
    return f"{used} of {budget_bytes / 1e6:.0f} MB" if budget_bytes else used


def summary_lines(results: Sequence[Result], now_ms: int | None = None) -> list[str]:
    """Results in plain words, in columns; with their age if `now_ms` is given."""
    rows = [
        [
            result_title(result),
            summary(result),
            *([] if now_ms is None else [ago(now_ms - result.time_ms)]),
        ]
        for result in results
    ]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(2)]
    return [
        "  "
        + "  ".join(
            cell.ljust(widths[i]) if i < 2 else cell for i, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]


def status_place(status: Status) -> str:
    return place_sentence(status.whereabouts, status.place_reason)


def place_sentence(whereabouts: Whereabouts, reason: str) -> str:
    """One sentence: where the laptop is, and why the agent believes that. Pure."""
    place = {
        "office": f"at the office {whereabouts.site}",
        "home": "at home",
        "elsewhere": "away from home and office",
        "unknown": "in a network that the agent does not know",
    }[whereabouts.place]
    link = _LINKS.get(whereabouts.connection, "")
    vpn = {"up": ", with the VPN connected", "down": ", with the VPN disconnected"}.get(
        whereabouts.vpn, ""
    )
    return f"The laptop is {place}{link}{vpn}{f' ({reason})' if reason else ''}."


def delivery_problems(status: Status) -> list[str]:
    """What keeps reports from the council's server, or has lost some. Pure."""
    problems = []
    if status.clock_wrong_ms:
        way = "ahead of" if status.clock_wrong_ms > 0 else "behind"
        wrong = rough_duration_text(abs(status.clock_wrong_ms) / 1000)
        problems.append(
            f"this laptop's clock is {wrong} {way} the council's server: set "
            "date and time automatically"
        )
    if status.delivery_trouble:
        problems.append(
            f"results cannot be sent at the moment: {status.delivery_trouble}"
        )
    problems += [
        f"the server refused {_reports(count)}: {reason}"
        for reason, count in status.refused.items()
    ]
    if status.dropped:
        problems.append(
            f"the agent dropped {_reports(status.dropped, 'old ')} to make room"
        )
    problems += status.stop_faults
    problems += [text for text in (status.spool_trouble, status.spool_lost) if text]
    return problems


def _delivery(status: Status, now_ms: int) -> list[str]:
    if status.delivered_ms is None:
        last = "nothing has been delivered yet"
    else:
        last = f"last delivered {ago(now_ms - status.delivered_ms)}"
    return [
        f"{_reports(status.waiting)} waiting to be sent, {last}",
        *delivery_problems(status),
    ]


def _reports(count: int, kind: str = "") -> str:
    return counted(count, f"{kind}report")


def _until(ms: int) -> str:
    seconds = ms / 1000
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def ago(age_ms: int) -> str:
    return f"{rough_duration_text(max(age_ms, 0) / 1000)} ago"

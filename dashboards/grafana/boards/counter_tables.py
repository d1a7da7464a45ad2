"""Panels about what Towpath's processes have counted since they started: what was
refused, put aside or repeated, and why."""

from collections.abc import Mapping

from collectors.server_measurements import CATALOGUE
from dashboards.grafana.board import (
    PLAIN,
    RED,
    Panel,
    PanelQuery,
    TableColumn,
    select,
    unit_of,
)
from dashboards.grafana.boards.key_texts import YES_NO
from dashboards.grafana.boards.newest_rows import newest_rows
from dashboards.grafana.boards.rule_texts import what_to_do

_SINCE = "Counted since each process started. "
_CLOSED = {
    "connections": "Now",
    "strangers": "Not signed in",
    "refused_no_place": "Limit reached",
    "refused_address_full": "One address",
    "refused_agent_full": "One laptop",
    "refused_no_files": "No files left",
    "refused_handshake": "TLS failed",
    "refused_slow_head": "Slow head",
    "refused_large_head": "Large head",
    "refused_bad_http": "Not HTTP",
    "refused_slow_reader": "Slow reader",
}


def _counted(
    title: str,
    description: str,
    measurement: str,
    by: Mapping[str, str],
    counters: Mapping[str, str],
    height: int = 6,
) -> Panel:
    """One row for each value of the tags `by`, one column for each counter."""
    return Panel(
        title,
        _SINCE + description,
        newest_rows(measurement, *counters, by=tuple(by)),
        "short",
        "table",
        width=24,
        height=height,
        columns={
            **{tag: TableColumn(name, width=110) for tag, name in by.items()},
            **{
                f"{name}_last": _column(heading, measurement, name)
                for name, heading in counters.items()
            },
        },
        sort=(next(iter(by)), False),
        newest=True,
    )


# There are up to twelve of them.
_WIDTH_PX = 100


def _column(heading: str, measurement: str, name: str) -> TableColumn:
    is_flag = CATALOGUE.measurement(measurement).field(name).unit == "flag"
    texts = YES_NO if is_flag else {}
    unit = unit_of(measurement, name)
    return TableColumn(heading, unit, texts, decimals=0, width=_WIDTH_PX)


_PROCESS = {"process": "Process"}
_TRANSPORT = {"transport": "By", **_PROCESS}
REFUSED_REPORTS = _counted(
    "Why were laptops' reports refused?",
    "Too large, unreadable or malformed: an agent is damaged, or it is not an agent. "
    "Credential: it was never enrolled, or was removed. Busy and too many: the agent "
    f"tries again, nothing is lost. Used twice: {what_to_do('credential_copied')}",
    "self_ingest",
    _TRANSPORT,
    {
        "refused_unreadable": "Unreadable",
        "refused_too_large": "Too large",
        "refused_coding": "Coding",
        "refused_version": "Version",
        "refused_malformed": "Malformed",
        "refused_not_yours": "Another's",
        "refused_credential": "Credential",
        "refused_used_twice": "Used twice",
        "refused_enrolment": "Enrolment",
        "refused_busy": "Busy",
        "refused_agent_rate": "Too many",
        "refused_enrolment_rate": "Enrolments",
        "refused_slow_body": "Slow body",
    },
)
CHANGED_REPORTS = _counted(
    "What was stored differently from how it was sent?",
    "Duplicates are normal: a receipt was lost. From the future: the laptop's clock is "
    "wrong. Not in the catalogue: the agent is newer than this server. Not in a "
    "policy: an old policy on the laptop.",
    "self_ingest",
    _TRANSPORT,
    {
        "duplicates": "Duplicates",
        "in_flight": "Waiting now",
        "retimed": "From the future",
        "expired_rows": "Too old",
        "odd_values": "Values not in the catalogue",
        "misfit_rows": "Rows not in it",
        "other_targets": "Targets not in a policy",
        "other_whereabouts": "Too many whereabouts",
        "failures": "Journal failed",
    },
)
CLOSED_BY_INGEST = _counted(
    "Why were connections of laptops closed?",
    "Now: open connections. Slow and large heads, slow readers and connections that "
    "are not HTTP are scanners or attacks. Limit reached: raise `ingest.connections`.",
    "self_ingest",
    _TRANSPORT,
    _CLOSED,
)
CLOSED_BY_WEB = _counted(
    "Why were connections to the status page closed?",
    "Now: open connections. Slow and large heads, slow readers and connections that "
    "are not HTTP are scanners or attacks.",
    "self_web",
    _PROCESS,
    _CLOSED,
    height=5,
)
REPEATED = Panel(
    "How many SNMP requests had to be repeated?",
    "Requests that each poller sent again in a minute, because no answer came in time. "
    "A few are normal. A step: packets are lost near Towpath itself; the Switch board "
    "has the figures of one device.",
    (
        PanelQuery(
            select("self_poll", ("retries", "mean"), by=("process",)), "$tag_process"
        ),
    ),
    "short",
    steps=PLAIN,
    width=24,
    height=6,
    soft_minimum=0,
)
JOURNALS = _counted(
    "What have the journals kept and dropped?",
    "Rows made durable, and bytes dropped unread at the limit, which are lost. Oldest: "
    f"age of what is still held. {what_to_do('journal_dropping')}",
    "self_journal",
    _PROCESS,
    {
        "appended_rows": "Rows",
        "dropped_bytes": "Bytes dropped",
        "age_s": "Oldest",
        "full": "Disk full",
    },
    height=5,
)
READERS = _counted(
    "What did the readers of the journal skip?",
    "Put aside: rows that the database refuses for ever. Damaged: places in the "
    "journal after a power cut. Dropped before: the reader was so far behind that the "
    "journal had reached its limit. Failed tries are repeated and lose nothing.",
    "self_reader",
    {"reader": "Reader", **_PROCESS},
    {
        "passed_rows": "Rows read",
        "aside_rows": "Put aside",
        "failures": "Failed tries",
        "damaged_frames": "Damaged",
        "gap_rows": "Dropped before",
        "expired_rows": "Too old",
    },
)
TRAP_COUNTS = _counted(
    "How many traps were counted, stored and withheld?",
    "Withheld: about a person, so counted but not stored. Repeated: informs that were "
    "sent again. Incomplete: truncated, or with variables that cannot be read.",
    "self_traps",
    _PROCESS,
    {
        "received": "Received",
        "accepted": "Accepted",
        "incomplete": "Incomplete",
        "repeated": "Repeated",
        "withheld": "Withheld",
        "answered": "Informs answered",
        "rows": "Rows stored",
        "waiting": "Waiting now",
        "failures": "Journal failed",
    },
    height=5,
)
TRAPS = Panel(
    "What becomes of traps?",
    "Counted since start. From unknown addresses: the sender is not in the estate. "
    "Not authentic: a v3 user, password or time is wrong. Lost: more arrived at once "
    f"than the system's buffer holds. {what_to_do('traps_lost')}",
    tuple(
        PanelQuery(
            select("self_traps", (field, "max"), by=("process",)),
            f"$tag_process: {label}",
            colour=RED if field == "lost" else "",
        )
        for field, label in (
            ("accepted", "accepted"),
            ("unknown_source", "from unknown addresses"),
            ("wrong_community", "wrong community"),
            ("not_authentic", "not authentic"),
            ("malformed", "not readable"),
            ("lost", "lost"),
        )
    ),
    "short",
    steps=PLAIN,
    soft_minimum=0,
)

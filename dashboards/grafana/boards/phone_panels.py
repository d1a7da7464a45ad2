"""Telephone calls as Microsoft logged them: trunks and SIP codes."""

from __future__ import annotations

from collectors.store.query import Aggregate, Where
from dashboards.grafana.board import (
    BoardRow,
    Panel,
    PanelQuery,
    TableColumn,
    select,
    steps_of_rule,
)
from dashboards.grafana.boards.call_panels import ALL, record_column
from dashboards.grafana.boards.recorded_call_panels import NO_RECORD
from dashboards.grafana.boards.rule_texts import what_to_do

_PHONE_PICKS: tuple[tuple[str, Aggregate], ...] = (
    ("fault_ratio", "mean"),
    ("answered_ratio", "mean"),
    ("not_answered_ratio", "mean"),
    ("wrong_number_ratio", "mean"),
    ("attempts", "sum"),
    ("answer_p95_ms", "mean"),
    ("talk_mean_s", "mean"),
    ("calls", "sum"),
    ("people", "max"),
)
TRUNKS = Panel(
    "Over which trunks do telephone calls fail?",
    "Microsoft's log of Direct Routing and Calling Plans. Failed: the trunk, its "
    "controller, the provider or a setting; busy lines and wrong numbers are no "
    "faults. The log of Calling Plans has only calls that were connected, so it says "
    "nothing of failures. Until answered: from the invitation, with ringing. "
    f"{what_to_do('phone_calls_fail_trunk')}",
    (
        PanelQuery(
            select(
                "phone_calls",
                *_PHONE_PICKS,
                by=("group",),
                where=(Where("by", ("trunk",)),),
            )
        ),
    ),
    "short",
    "table",
    width=24,
    height=6,
    columns={
        "group": TableColumn("Trunk or operator", width=220),
        "fault_ratio_mean": record_column(
            "phone_calls",
            "fault_ratio",
            "Failed",
            steps=steps_of_rule("phone_calls_fail_trunk"),
        ),
        "answered_ratio_mean": record_column(
            "phone_calls", "answered_ratio", "Answered"
        ),
        "not_answered_ratio_mean": record_column(
            "phone_calls", "not_answered_ratio", "Not answered"
        ),
        "wrong_number_ratio_mean": record_column(
            "phone_calls", "wrong_number_ratio", "Wrong number"
        ),
        "attempts_sum": record_column("phone_calls", "attempts", "Attempts", 0),
        "answer_p95_ms_mean": record_column(
            "phone_calls", "answer_p95_ms", "Until answered, p95", 0
        ),
        "talk_mean_s_mean": record_column("phone_calls", "talk_mean_s", "Duration", 0),
        "calls_sum": record_column("phone_calls", "calls", "Calls", 0),
        "people_max": record_column("phone_calls", "people", "People, most", 0),
    },
    sort=("fault_ratio_mean", True),
    no_value=NO_RECORD,
)
SIP_CODES = Panel(
    "With which SIP codes did telephone calls end?",
    "Calls that were not answered, by their final code (RFC 3261): 486 is busy, 487 "
    "given up, 404 a wrong number, 403 and 488 a setting, 408 and 503 a controller or "
    "provider "
    "that does not answer.",
    (
        PanelQuery(
            select(
                "phone_calls",
                ("calls", "sum"),
                by=("group",),
                where=(Where("by", ("sip_code",)),),
            )
        ),
    ),
    "short",
    "table",
    width=12,
    height=8,
    columns={
        "group": TableColumn("SIP code", width=120),
        "calls_sum": record_column("phone_calls", "calls", "Calls", 0),
    },
    sort=("calls_sum", True),
    no_value="None of enough people",
)
WAITING = Panel(
    "How long did callers wait for a sign, and for an answer?",
    "Until the first sign: the post-dial delay by SIP on a mirrored port (towpath rtp "
    "--interface --sip), the mean of all calls; Microsoft's log does not have it. "
    "Until answered: the 95th percentile of Microsoft's log, with ringing. They have "
    "only the time in common: calls that are not on the port are in the second alone.",
    (
        PanelQuery(
            select("sip_calls", ("delay_ms", "mean"), where=ALL),
            "until the first sign",
        ),
        PanelQuery(
            select("phone_calls", ("answer_p95_ms", "mean"), where=ALL),
            "until answered",
        ),
    ),
    "ms",
    width=24,
    height=8,
    soft_minimum=0,
    no_value="Neither SIP on a mirrored port nor Microsoft's log is read",
)
PHONE_CALLS = BoardRow("Telephone calls", (TRUNKS, SIP_CODES, WAITING), collapsed=True)

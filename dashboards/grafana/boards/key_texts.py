"""Words for the keys of closed lists, as value texts of columns."""

from __future__ import annotations

from typing import get_args

from collectors.estate.estate_model import Line, Role
from dashboards.figure_text import identifier_text
from dashboards.grafana.board import BAD, GOOD, LOOK, NEUTRAL, ValueTexts
from probes.wire.failure import Outcome


def _words(keys: tuple[str, ...]) -> ValueTexts:
    return {key: (identifier_text(key), NEUTRAL) for key in keys}


ROLES = _words(get_args(Role))
LINE_ROLES = _words(get_args(Line.model_fields["role"].annotation))
# How a poll of a device ended. What was refused or could not be read did answer.
POLL_OUTCOMES: ValueTexts = {
    **{outcome.value: (identifier_text(outcome), LOOK) for outcome in Outcome},
    "ok": ("Answered", GOOD),
    "timeout": ("No answer", BAD),
    "unreachable": ("Unreachable", BAD),
    "refused": ("Refused", BAD),
    "auth_failed": ("Credential refused", LOOK),
    "budget_spent": ("Took too long", LOOK),
    "no_network": ("Towpath cut off", NEUTRAL),
    "no_resources": ("Towpath out of ports", LOOK),
}
# What IP SLA operations do, and how they end (CISCO-RTTMON-MIB).
OPERATION_KINDS: ValueTexts = {
    "echo": ("ICMP echo", NEUTRAL),
    "path_echo": ("Path echo", NEUTRAL),
    "udp_echo": ("UDP echo", NEUTRAL),
    "tcp_connect": ("TCP connection", NEUTRAL),
    "http": ("HTTP", NEUTRAL),
    "dns": ("DNS", NEUTRAL),
    "udp_jitter": ("UDP jitter", NEUTRAL),
    "dhcp": ("DHCP", NEUTRAL),
    "ftp": ("FTP", NEUTRAL),
    "voip": ("VoIP", NEUTRAL),
    "icmp_jitter": ("ICMP jitter", NEUTRAL),
}
OPERATION_RESULTS: ValueTexts = {
    "ok": ("Answered", GOOD),
    "over_threshold": ("Over its threshold", LOOK),
    "timeout": ("No answer", BAD),
    "disconnected": ("Disconnected", BAD),
    "not_connected": ("Not connected", BAD),
    "dropped": ("Dropped", BAD),
    "busy": ("Busy", LOOK),
    "sequence_error": ("Out of sequence", LOOK),
    "verify_error": ("Wrong data", LOOK),
}
# Where a neighbour is known from.
PROTOCOLS: ValueTexts = {
    **{name: (name.upper(), NEUTRAL) for name in ("lldp", "cdp", "edp", "sonmp")},
    "mndp": ("MNDP", NEUTRAL),
    "fdp": ("Foundry FDP", NEUTRAL),
    "ctron-cdp": ("Cabletron CDP", NEUTRAL),
}
EXPECTED_WHY: ValueTexts = {
    "line": ("the port of a WAN line", NEUTRAL),
    "uplink": ("an uplink", NEUTRAL),
    "neighbour": ("connected to a switch or access point", NEUTRAL),
    "pattern": ("listed in the estate file", NEUTRAL),
}
YES_NO: ValueTexts = {1: ("Yes", BAD), 0: ("No", NEUTRAL)}
YES_IS_GOOD: ValueTexts = {1: ("yes", GOOD), 0: ("no", BAD)}

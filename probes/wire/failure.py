"""The closed list of outcomes a measurement can have.

A failure is a measurement, not an exception: it has a time and a reason. "Failed",
"not there" and "not measured" remain three different things all the way to the report.
"""

from enum import StrEnum


class Outcome(StrEnum):
    """How one measurement ended. The values travel on the wire: add, never rename."""

    OK = "ok"

    # It was tried and failed.
    TIMEOUT = "timeout"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    RESET = "reset"
    NAME_NOT_FOUND = "name_not_found"
    NAME_SERVER_FAILED = "name_server_failed"
    TLS_FAILED = "tls_failed"
    AUTH_FAILED = "auth_failed"
    BAD_ANSWER = "bad_answer"
    UDP_BLOCKED = "udp_blocked"
    CAPTIVE_PORTAL = "captive_portal"
    NO_NETWORK = "no_network"
    CLOCK_WRONG = "clock_wrong"

    # There is nothing to measure.
    NOT_PRESENT = "not_present"
    NOT_CONNECTED = "not_connected"
    SWITCHED_OFF = "switched_off"

    # It was not tried.
    NOT_PERMITTED = "not_permitted"
    NOT_SUPPORTED = "not_supported"
    NOT_CONFIGURED = "not_configured"
    BUDGET_SPENT = "budget_spent"
    METERED = "metered"
    ON_BATTERY = "on_battery"
    IN_USE = "in_use"
    BUSY = "busy"
    PAUSED = "paused"
    NO_RESOURCES = "no_resources"

    # Written by a server that reads an outcome of a newer agent; no agent sends it.
    OTHER = "other"


NOT_THERE = frozenset(
    {Outcome.NOT_PRESENT, Outcome.NOT_CONNECTED, Outcome.SWITCHED_OFF}
)
NOT_MEASURED = frozenset(
    {
        Outcome.NOT_PERMITTED,
        Outcome.NOT_SUPPORTED,
        Outcome.NOT_CONFIGURED,
        Outcome.BUDGET_SPENT,
        Outcome.METERED,
        Outcome.ON_BATTERY,
        Outcome.IN_USE,
        Outcome.BUSY,
        Outcome.PAUSED,
        Outcome.NO_RESOURCES,
        # Its meaning is not known here, so it does not count at all.
        Outcome.OTHER,
    }
)


def is_failure(outcome: Outcome) -> bool:
    """Returns True if it was tried, something was there, and it did not work."""
    return (
        outcome is not Outcome.OK
        and outcome not in NOT_THERE
        and outcome not in NOT_MEASURED
    )


def state_number(outcome: Outcome) -> int:
    """Returns the four kinds of outcomes as a number, the worst first: 0 failed, 1
    nothing there, 2 not measured, 3 worked."""
    if outcome is Outcome.OK:
        return 3
    if outcome in NOT_MEASURED:
        return 2
    return 1 if outcome in NOT_THERE else 0

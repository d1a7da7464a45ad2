"""Errors of Linux, macOS and Windows sockets become the same outcomes."""

import errno
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.wire.failure import Outcome, is_failure
from probes.wire.socket_errors import is_too_long, outcome_of, telling


def of_windows(kind: type[OSError], number: int) -> OSError:
    """As Windows raises it: EINVAL, with the number that counts in `winerror`."""
    error = kind(errno.EINVAL, "as Windows words it")
    error.winerror = number  # type: ignore[attr-defined,unused-ignore]
    return error


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        # winerror.h: what overlapped sockets and the system say
        (8, Outcome.NO_RESOURCES),
        (14, Outcome.NO_RESOURCES),
        (64, Outcome.RESET),
        (109, Outcome.RESET),
        (121, Outcome.TIMEOUT),
        (232, Outcome.RESET),
        (258, Outcome.TIMEOUT),
        (1222, Outcome.NO_NETWORK),
        (1225, Outcome.REFUSED),
        (1226, Outcome.RESET),
        (1229, Outcome.RESET),
        (1231, Outcome.NO_NETWORK),
        (1232, Outcome.UNREACHABLE),
        (1233, Outcome.UNREACHABLE),
        (1234, Outcome.REFUSED),
        (1235, Outcome.RESET),
        (1236, Outcome.RESET),
        (1450, Outcome.NO_RESOURCES),
        (1455, Outcome.NO_RESOURCES),
        (1816, Outcome.NO_RESOURCES),
        (10024, Outcome.NO_RESOURCES),
        (10048, Outcome.NO_RESOURCES),
        (10055, Outcome.NO_RESOURCES),
        (1256, Outcome.UNREACHABLE),
        (1460, Outcome.TIMEOUT),
        # winsock2.h
        (10_049, Outcome.NO_NETWORK),
        (10_050, Outcome.NO_NETWORK),
        (10_051, Outcome.NO_NETWORK),
        (10_052, Outcome.RESET),
        (10_053, Outcome.RESET),
        (10_054, Outcome.RESET),
        (10_057, Outcome.RESET),
        (10_058, Outcome.RESET),
        (10_060, Outcome.TIMEOUT),
        (10_061, Outcome.REFUSED),
        (10_064, Outcome.UNREACHABLE),
        (10_065, Outcome.UNREACHABLE),
        (10_101, Outcome.RESET),
    ],
)
def test_windows_errors_are_told_by_their_own_number(
    number: int, outcome: Outcome
) -> None:
    for kind in (OSError, ConnectionRefusedError, ConnectionResetError):
        assert outcome_of(of_windows(kind, number)) is outcome
    # asyncio lists the errors of several addresses in the text of one.
    listed = f"Multiple exceptions: [WinError {number}] a, [WinError {number}] b"
    assert outcome_of(OSError(listed)) is outcome


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (11_001, Outcome.NAME_NOT_FOUND),
        (11_002, Outcome.NAME_SERVER_FAILED),
        (11_003, Outcome.NAME_SERVER_FAILED),
        (11_004, Outcome.NAME_NOT_FOUND),
        (socket.EAI_NONAME, Outcome.NAME_NOT_FOUND),
        (socket.EAI_AGAIN, Outcome.NAME_SERVER_FAILED),
    ],
)
def test_a_name_that_is_missing_is_not_a_name_server_that_failed(
    number: int, outcome: Outcome
) -> None:
    assert outcome_of(socket.gaierror(number, "as the system words it")) is outcome


def test_the_same_number_means_something_else_on_linux() -> None:
    # 121 is EREMOTEIO, 64 is ENONET and 109 is not in the list on Linux.
    assert outcome_of(OSError(121, "Remote I/O error")) is Outcome.UNREACHABLE
    assert outcome_of(OSError("I/O failed (os error 121)")) is Outcome.UNREACHABLE
    assert outcome_of(OSError("refused (os error 111)")) is Outcome.REFUSED


def test_a_machine_without_ports_files_or_memory_says_nothing_about_the_other() -> None:
    for number in (
        errno.EAGAIN,
        errno.EADDRINUSE,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
    ):
        outcome = outcome_of(OSError(number, "as the system words it"))
        assert outcome is Outcome.NO_RESOURCES
        assert not is_failure(outcome)


def test_an_error_of_a_known_class_needs_no_number() -> None:
    assert outcome_of(ConnectionRefusedError()) is Outcome.REFUSED
    assert outcome_of(ConnectionResetError()) is Outcome.RESET
    assert outcome_of(BrokenPipeError()) is Outcome.RESET
    assert outcome_of(TimeoutError()) is Outcome.TIMEOUT


@given(st.integers(-(2**31), 2**31), st.integers(-(2**31), 2**31))
def test_any_number_has_an_outcome(number: int, of_system: int) -> None:
    error = OSError(number, "what it says")
    error.winerror = of_system  # type: ignore[attr-defined,unused-ignore]
    assert outcome_of(error) in Outcome
    assert isinstance(is_too_long(error), bool)


def test_a_datagram_that_is_too_long_is_told_on_every_system() -> None:
    assert is_too_long(OSError(errno.EMSGSIZE, "Message too long"))
    assert is_too_long(of_windows(OSError, 10_040))
    assert is_too_long(of_windows(OSError, 234))
    assert not is_too_long(of_windows(OSError, 1225))


def test_a_network_without_a_way_out_says_least() -> None:
    failed = [Outcome.UNREACHABLE, Outcome.TIMEOUT, Outcome.NO_NETWORK]
    assert max(failed, key=telling) is Outcome.TIMEOUT
    assert min(failed, key=telling) is Outcome.NO_NETWORK
    assert telling(Outcome.REFUSED) == telling(Outcome.TIMEOUT)

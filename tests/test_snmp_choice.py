"""Which of several credentials is tried when: politely, and what worked is kept."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from collectors.snmp.polling.credential_choice import CredentialChoice, credential_names
from probes.wire.failure import Outcome

BY_SUBNET = {
    ip_network("10.0.0.0/8"): ("council",),
    ip_network("10.2.0.0/16"): ("schools", "old-schools"),
    ip_network("fd00::/8"): ("six",),
}


def test_a_device_without_a_name_of_its_own_has_those_of_its_subnet() -> None:
    inside, outside = ip_address("10.2.3.4"), ip_address("192.168.1.1")
    expected = ("schools", "old-schools", "council", "default")
    assert credential_names("default", inside, BY_SUBNET) == expected
    assert credential_names("default", outside, BY_SUBNET) == ("default",)
    assert credential_names("default", ip_address("fd00::1"), BY_SUBNET) == (
        "six",
        "default",
    )


def test_a_device_with_names_of_its_own_has_only_those_in_their_order() -> None:
    inside = ip_address("10.2.3.4")
    assert credential_names("core", inside, BY_SUBNET) == ("core",)
    assert credential_names("new, core,new", inside, BY_SUBNET) == ("new", "core")


def polled(
    choice: CredentialChoice, right: str, polls: int, *, loud: bool
) -> list[str]:
    """The names tried, a minute apart; a wrong one is refused (v3) or silence (v2c)."""
    tried = []
    for n in range(polls):
        if choice.is_resting(n * 60.0):
            tried.append("")
            continue
        tried.append(choice.name)
        fits = choice.name == right
        wrong = Outcome.AUTH_FAILED if loud else Outcome.TIMEOUT
        choice.record(Outcome.OK if fits else wrong, fits, n * 60.0)
    return tried


def test_one_is_tried_a_poll_until_one_fits_and_that_one_is_kept() -> None:
    for loud in (True, False):
        choice = CredentialChoice(["a", "b", "c"])
        assert polled(choice, "c", 6, loud=loud) == ["a", "b", "c", "c", "c", "c"]
        assert choice.last_good == "c"
        assert CredentialChoice(["a", "b", "c"], remembered="c").name == "c"


def test_a_password_that_was_changed_is_left_for_another_at_once() -> None:
    choice = CredentialChoice(["old", "new"], remembered="old")
    assert polled(choice, "new", 3, loud=True) == ["old", "new", "new"]


def test_a_device_that_refuses_all_is_left_alone_longer_and_longer() -> None:
    tried = polled(CredentialChoice(["a", "b"]), "none of them", 600, loud=True)
    assert tried[:3] == ["a", "b", "a"]
    assert tried[3:7] == [""] * 4
    # Ten hours at a try a minute would be 600 wrong passwords.
    assert sum(map(bool, tried)) < 20


def test_one_refusal_of_a_password_that_worked_is_tried_again_at_once() -> None:
    choice = CredentialChoice(["only"], remembered="only")
    choice.record(Outcome.AUTH_FAILED, False, 0.0)
    assert not choice.is_resting(60.0)
    choice.record(Outcome.OK, True, 60.0)
    choice.record(Outcome.AUTH_FAILED, False, 120.0)
    assert not choice.is_resting(180.0)


def test_a_dead_device_is_polled_with_what_worked_and_seldom_with_another() -> None:
    choice = CredentialChoice(["a", "b", "c"], remembered="a")
    tried = polled(choice, "none of them", 40, loud=False)
    assert tried.count("a") >= 34
    assert {"b", "c"} <= set(tried)


@given(
    names=st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=5),
    story=st.lists(
        st.tuples(st.sampled_from(list(Outcome)), st.booleans()), max_size=60
    ),
)
def test_whatever_happens_there_is_a_credential_and_rests_end(
    names: list[str], story: list[tuple[Outcome, bool]]
) -> None:
    choice, now_s = CredentialChoice(names), 0.0
    for outcome, answered in story:
        assert choice.name in names
        choice.record(outcome, answered, now_s)
        assert not choice.is_resting(now_s + 3600)
        now_s += 60

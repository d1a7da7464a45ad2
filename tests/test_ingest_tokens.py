"""Enrolment tokens: how often, how long and from where one may be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from ingest_council import door, opened_registry

from collectors.ingest.enrolment_tokens import TokenWish, token_state
from collectors.ingest.registry_records import EnrolmentRefused
from probes.wire.clock import wall_ms
from probes.wire.report import Enrolment

DAY_MS = 86_400_000
NOW_MS = 1_790_000_000_000


def test_tokens_have_uses_an_end_and_can_be_withdrawn(tmp_path: Path) -> None:
    with opened_registry(tmp_path) as registry:
        token = registry.admin.make_token("depot", 2, 7, NOW_MS)
        for device in ("a", "b", "b", "a"):
            assert (
                registry.identities.enrol(Enrolment(token, device), NOW_MS).home_site
                == "depot"
            )
        with pytest.raises(EnrolmentRefused, match="had 2 uses"):
            registry.identities.enrol(Enrolment(token, "c"), NOW_MS)
        with pytest.raises(EnrolmentRefused, match="expired"):
            registry.identities.enrol(Enrolment(token, "a"), NOW_MS + 7 * DAY_MS)
        with pytest.raises(EnrolmentRefused, match="not known"):
            registry.identities.enrol(Enrolment(token + "x", "a"), NOW_MS)
        with pytest.raises(EnrolmentRefused, match="empty"):
            registry.identities.enrol(Enrolment(token, "  "), NOW_MS)
        (shown,) = registry.admin.tokens()
        assert (shown.site, shown.uses, shown.used) == ("depot", 2, 2)
        assert registry.admin.withdraw_token(shown.id, NOW_MS, "test")
        assert not registry.admin.withdraw_token("none", NOW_MS, "test")
        with pytest.raises(EnrolmentRefused, match="withdrawn"):
            registry.identities.enrol(Enrolment(token, "a"), NOW_MS)
        with pytest.raises(ValueError, match="at least one use"):
            registry.admin.make_token("depot", 0, 7, NOW_MS)


def test_a_token_of_a_ring_works_from_its_networks_only(tmp_path: Path) -> None:
    wish = TokenWish("depot", 2, 7, "", "pilot", ("192.0.2.0/24", "2001:db8::/32"))
    with opened_registry(tmp_path) as registry:
        token = registry.admin.add_token(wish, NOW_MS, "alex")
        elsewhere = "may not be used from this network"
        for address in ("198.51.100.7", "not an address", "2001:db9::1"):
            with pytest.raises(EnrolmentRefused, match=elsewhere):
                registry.identities.enrol(Enrolment(token, "a"), NOW_MS, address)
            assert elsewhere in registry.refusal_reason(
                Enrolment(token, "a"), NOW_MS, address
            )
        for device, address in (("a", "192.0.2.9"), ("b", "::ffff:192.0.2.10")):
            assert not registry.refusal_reason(
                Enrolment(token, device), NOW_MS, address
            )
            registry.identities.enrol(Enrolment(token, device), NOW_MS, address)
        assert {agent.ring for agent in registry.agents()} == {"pilot"}
        (shown,) = registry.admin.tokens()
        assert (shown.ring, shown.sources) == ("pilot", wish.sources)


def test_a_laptop_installed_for_a_ring_needs_a_token_of_it_or_of_none(
    tmp_path: Path,
) -> None:
    with opened_registry(tmp_path) as registry:
        pilot = registry.admin.add_token(
            TokenWish("depot", 9, 7, "", "pilot"), NOW_MS, "alex"
        )
        free = registry.admin.add_token(TokenWish("depot", 9, 7), NOW_MS, "alex")
        wrong = Enrolment(pilot, "a", ring="broad")
        refused = "is for the ring pilot, and this laptop was installed for broad"
        assert refused in registry.refusal_reason(wrong, NOW_MS)
        with pytest.raises(EnrolmentRefused, match=refused):
            registry.identities.enrol(wrong, NOW_MS)
        assert "no name of a ring" in registry.refusal_reason(
            Enrolment(free, "a", ring="<script>"), NOW_MS
        )
        for device, token, ring in (
            ("a", pilot, "pilot"),
            ("b", free, "broad"),
            ("c", pilot, ""),
        ):
            registry.identities.enrol(Enrolment(token, device, ring=ring), NOW_MS)
        rings = sorted(agent.ring for agent in registry.agents())
        assert rings == ["broad", "pilot", "pilot"]


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (TokenWish("depot", 0, 7), "at least one use"),
        (TokenWish("depot", 1, 0), "some days"),
        (TokenWish("depot", 1, 1, "", "Pilot ring"), "ring 'Pilot ring': expected"),
        (
            TokenWish("depot", 1, 1, "", "", ("192.0.2.0/240",)),
            "is no network, expected",
        ),
    ],
)
def test_a_token_that_cannot_be_is_one_sentence(
    tmp_path: Path, wish: TokenWish, says: str
) -> None:
    with opened_registry(tmp_path) as registry:
        with pytest.raises(ValueError, match=says) as error:
            registry.admin.add_token(wish, NOW_MS, "alex")
        assert "\n" not in str(error.value)
        assert not registry.admin.tokens()


def test_the_list_of_tokens_tells_the_truth(tmp_path: Path) -> None:
    with opened_registry(tmp_path) as registry:
        for uses in (1, 2, 3, 4):
            registry.admin.make_token("depot", uses, uses, NOW_MS + uses)
        by_uses = {token.uses: token for token in registry.admin.tokens()}
        once = registry.admin.make_token("depot", 1, 9, NOW_MS)
        registry.identities.enrol(Enrolment(once, "a"), NOW_MS)
        registry.admin.withdraw_token(by_uses[4].id, NOW_MS, "alex")
        states = {
            (token.uses, token.used): token_state(token, NOW_MS + 2 * DAY_MS + 3)
            for token in registry.admin.tokens()
        }
    assert states == {
        (1, 0): "expired",
        (1, 1): "used up",
        (2, 0): "expired",
        (3, 0): "3 left",
        (4, 0): "withdrawn",
    }


@pytest.mark.parametrize("years", [-2, 2])
def test_a_server_whose_date_is_wrong_says_which_it_has(
    tmp_path: Path, years: int
) -> None:
    wrong_ms = NOW_MS + years * 365 * DAY_MS
    with opened_registry(tmp_path) as registry:
        token = registry.admin.make_token("depot", 1, 7, NOW_MS)
        enrolment = Enrolment(token, "a")
        if years < 0:
            # A token from the future is one: who made it had the right date.
            assert not registry.refusal_reason(enrolment, wrong_ms)
            return
        with pytest.raises(EnrolmentRefused) as refused:
            registry.identities.enrol(enrolment, wrong_ms)
        assert str(refused.value) == (
            "the enrolment token expired on 2026-09-28 (the server's date is "
            "2028-09-20)"
        )
        # The right date again: nothing was lost.
        registry.identities.enrol(enrolment, NOW_MS)


def test_a_token_of_another_councils_server_says_so(tmp_path: Path) -> None:
    for council in ("ours", "theirs"):
        (tmp_path / council).mkdir()
    with opened_registry(tmp_path / "theirs") as theirs:
        token = theirs.admin.make_token("depot", 1, 7, NOW_MS)
    refused = pytest.raises(EnrolmentRefused, match="another council's server")
    with opened_registry(tmp_path / "ours") as ours, refused:
        ours.identities.enrol(Enrolment(token, "a"), NOW_MS)


@pytest.mark.parametrize(
    ("proxies", "status"), [(("127.0.0.0/8",), 200), (("192.0.2.1",), 403)]
)
async def test_a_network_counts_only_if_a_trusted_proxy_names_it(
    proxies: tuple[str, ...], status: int, tmp_path: Path
) -> None:
    wish = TokenWish("depot", 9, 7, sources=("10.0.0.0/8",))
    # A socket for IPv4 and IPv6 shows the proxy as ::ffff:127.0.0.1.
    async with door(tmp_path, {"host": "::", "trusted_proxies": proxies}) as at:
        token = at.registry.admin.add_token(wish, wall_ms(), "alex")
        for named, expected in (
            ("10.1.1.1", status),
            ("::ffff:10.1.1.2", status),
            ("10.1.1.1, 203.0.113.5", 403),
            ("unknown", 403),
            ("", 403),
        ):
            answer = await at.client.post(
                "/v1/enrol",
                json={"token": token, "device": named or "none"},
                headers={"X-Forwarded-For": named},
            )
            assert answer.status_code == expected, named

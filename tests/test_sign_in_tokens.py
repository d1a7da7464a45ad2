"""ID tokens that no honest provider gives, roles in the shapes of Entra ID and of
Keycloak, and answers that are mixed up."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from dashboards.web.page_forms import safe_next
from dashboards.web.sign_in.authorization_request import (
    VALID_MS,
    StartedSignIns,
    code_of,
)
from dashboards.web.sign_in.id_token import (
    TokenRules,
    UnknownKey,
    check_id_token,
    signing_keys,
)
from dashboards.web.sign_in.kept_document import KeptDocument, ProviderUnusable
from dashboards.web.sign_in.role_claims import (
    claim_values,
    claimed_roles,
    display_name,
    groups_left_out,
)
from dashboards.web.sign_in.sign_in_refusal import NOT_REACHED, SignInRefused
from dashboards.web.visitors import Role

NOW_S = 1_800_000_000
ISSUER, CLIENT, NONCE = "https://login.example/tenant/v2.0", "towpath", "n" * 43
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
KEYS = KeySet.import_key_set(
    {"keys": [RSA.as_dict(private=False), EC.as_dict(private=False)]}
)
GOOD = {
    "iss": ISSUER,
    "sub": "ada",
    "aud": CLIENT,
    "exp": NOW_S + 600,
    "iat": NOW_S,
    "nonce": NONCE,
}


RULES = TokenRules(
    issuer=ISSUER,
    client_id=CLIENT,
    algorithms=("RS256", "ES256", "Ed25519"),
    leeway_s=60,
    now_s=NOW_S,
)


def check(token: str, keys: KeySet = KEYS) -> dict[str, Any]:
    return check_id_token(token, keys, RULES, NONCE)


def signed(claims: Mapping[str, Any], key: Any = RSA, alg: str = "RS256") -> str:
    header = {"alg": alg, "kid": key.kid}
    return jwt.encode(header, dict(claims), key, algorithms=[alg])


def part(value: object) -> str:
    text = json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def test_a_good_token_is_believed_with_every_allowed_signature() -> None:
    assert check(signed(GOOD))["sub"] == "ada"
    assert check(signed(GOOD, EC, "ES256"))["sub"] == "ada"
    edwards = OKPKey.generate_key("Ed25519", {"kid": "ed"})
    assert check(signed(GOOD, edwards, "Ed25519"), KeySet([edwards]))["sub"] == "ada"
    several = GOOD | {"aud": [CLIENT, "other"], "azp": CLIENT}
    assert check(signed(several))["sub"] == "ada"
    late = GOOD | {"exp": NOW_S - 59, "nbf": NOW_S + 59, "iat": NOW_S + 59}
    assert check(signed(late))["sub"] == "ada"


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://login.example/other/v2.0"},
        {"iss": None},
        {"iss": [ISSUER]},
        {"sub": ""},
        {"sub": None},
        {"sub": 7},
        {"aud": "other"},
        {"aud": []},
        {"aud": None},
        {"aud": [CLIENT, "other"]},
        {"aud": [CLIENT, "other"], "azp": "other"},
        {"azp": "other"},
        {"exp": NOW_S - 60},
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"iat": NOW_S + 61},
        {"iat": None},
        {"nbf": NOW_S + 61},
        {"nonce": None},
        {"nonce": "x" * 43},
        {"nonce": [NONCE]},
    ],
)
def test_a_token_with_a_wrong_claim_is_not_believed(wrong: dict[str, Any]) -> None:
    claims = {name: v for name, v in (GOOD | wrong).items() if v is not None}
    with pytest.raises(SignInRefused):
        check(signed(claims))


def test_a_token_without_a_good_signature_is_not_believed() -> None:
    head, body, signature = signed(GOOD).split(".")
    forged = part(GOOD | {"sub": "eve"})
    public = RSA.as_pem(private=False)
    with_public_key = jwt.encode(
        {"alg": "HS256", "kid": "rsa"},
        GOOD,
        OctKey.import_key(public.replace(b"-----", b"")),
        algorithms=["HS256"],
    )
    for token in (
        f"{part({'alg': 'none'})}.{body}.",
        f"{part({'alg': 'None', 'kid': 'rsa'})}.{body}.",
        f"{head}.{forged}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-8]}AAAAAAAA",
        f"{head}.{body}",
        with_public_key,
        signed(GOOD, RSA, "RS384"),
        f"{part({'alg': 'RS256', 'kid': 'ec'})}.{body}.{signature}",
        f"{part({'alg': 'RS256', 'kid': 'rsa', 'crit': ['x'], 'x': 1})}.{body}.x",
        f"{part([1])}.{body}.{signature}",
        f"{head}.{part([1])}.{signature}",
        "",
        "\ud800.a.b",
        "a" * 70_000,
    ):
        with pytest.raises((SignInRefused, UnknownKey)):
            check(token)


def test_a_key_in_the_token_itself_is_not_used() -> None:
    own = RSAKey.generate_key(2048, {"kid": "rsa"})
    header = {"alg": "RS256", "kid": "rsa", "jwk": own.as_dict(private=False)}
    token = jwt.encode(header, GOOD, own, algorithms=["RS256"])
    with pytest.raises(SignInRefused):
        check(token)


def test_of_a_published_set_the_keys_that_sign_and_are_known_are_used() -> None:
    public = RSA.as_dict(private=False)
    odd = [
        {"kty": "AKP", "kid": "after-quantum", "alg": "ML-DSA-44", "pub": "AA"},
        {"kty": "EC", "crv": "P-999", "kid": "curve", "x": "AA", "y": "AA"},
        {"kty": "RSA", "kid": "cut off"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
        {**public, "kid": "encrypts", "use": "enc"},
        {},
    ]
    keys = signing_keys([*odd, {**public, "use": "sig"}])
    assert [key.kid for key in keys.keys] == ["rsa"]
    assert check(signed(GOOD), keys)["sub"] == "ada"
    assert not signing_keys(odd)


def test_a_key_that_is_not_published_is_looked_for_again() -> None:
    new = RSAKey.generate_key(2048, {"kid": "new"})
    with pytest.raises(UnknownKey):
        check(signed(GOOD, new))


@given(text=st.text(max_size=300))
def test_no_text_is_a_token(text: str) -> None:
    with pytest.raises((SignInRefused, UnknownKey)):
        check(text)


ROLES = {"Towpath.Engineer": Role.ENGINEER, "0f1e-desk": Role.SERVICE_DESK}
PATHS = ("roles", "groups", "realm_access.roles")


@pytest.mark.parametrize(
    "claims",
    [
        {"roles": ["Towpath.Engineer"]},
        {"roles": "towpath.engineer"},
        {"roles": [], "groups": ["other", "TOWPATH.ENGINEER"]},
        {"realm_access": {"roles": ["offline_access", "Towpath.Engineer"]}},
        {"realm_access.roles": ["Towpath.Engineer"]},
    ],
)
def test_roles_are_found_in_the_shapes_of_entra_id_and_keycloak(
    claims: dict[str, Any],
) -> None:
    assert claimed_roles(claims, PATHS, ROLES, None) == {Role.ENGINEER}
    assert claimed_roles(claims, PATHS, ROLES, Role.STAFF) == {Role.ENGINEER}


def test_roles_of_a_keycloak_client_are_found_though_its_id_has_dots() -> None:
    roles = {"towpath.example.gov.uk": {"roles": ["Engineer"]}, "towpath": "x"}
    claims = {"resource_access": roles}
    path = "resource_access.towpath.example.gov.uk.roles"
    assert claim_values(claims, path) == ["Engineer"]
    assert claim_values(claims, path + ".roles") == []


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"roles": None, "groups": {"a": 1}, "realm_access": ["x"]},
        {"roles": [1, None, ["Towpath.Engineer"]]},
        {"roles": ["public", "admin", ""]},
    ],
)
def test_nobody_has_a_role_that_the_council_did_not_name(
    claims: dict[str, Any],
) -> None:
    with pytest.raises(SignInRefused, match="no role in Towpath"):
        claimed_roles(claims, PATHS, ROLES, None)
    assert claimed_roles(claims, PATHS, ROLES, Role.STAFF) == {Role.STAFF}


@pytest.mark.parametrize(
    "claims",
    [
        {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {}}},
        {"hasgroups": True},
    ],
)
def test_too_many_groups_are_said_to_be_too_many(claims: dict[str, Any]) -> None:
    assert groups_left_out(claims)
    with pytest.raises(SignInRefused, match="so many groups"):
        claimed_roles(claims, PATHS, ROLES, None)
    # A role of its own is enough.
    with_role = claims | {"roles": ["Towpath.Engineer"]}
    assert claimed_roles(with_role, PATHS, ROLES, None) == {Role.ENGINEER}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(value=_JSON, path=st.text(max_size=20))
def test_claims_of_every_shape_are_read(value: Any, path: str) -> None:
    claims = {"roles": value, "realm_access": value, path: value}
    assert all(isinstance(v, str) for v in claim_values(claims, path))
    assert claimed_roles(claims, PATHS, ROLES, Role.STAFF)
    assert "\n" not in display_name(claims, ("roles", path))


def test_a_token_that_names_no_key_needs_a_set_of_one() -> None:
    header, alone = {"alg": "RS256"}, KeySet([RSA])
    nameless = jwt.encode(header, GOOD, RSA, algorithms=["RS256"])
    assert check(nameless, alone)["sub"] == "ada"
    with pytest.raises(UnknownKey):
        check(nameless)


async def test_a_provider_that_is_away_holds_up_one_person_and_no_other() -> None:
    tries, now = 0, [0]

    async def fetch() -> str:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0)
        if tries != 2:
            raise ProviderUnusable("no answer in 10 s")
        return "published"

    document = KeptDocument[str](lambda: now[0])
    many = [document.get(fetch) for _ in range(20)]
    answers = await asyncio.gather(*many, return_exceptions=True)
    assert {str(answer) for answer in answers} == {NOT_REACHED}
    assert tries == 1
    now[0] += 10_000
    assert await document.get(fetch) == "published"
    # A new look is one, and what was published is good for a day.
    assert [await document.get(fetch, again=True) for _ in range(5)] == [
        "published"
    ] * 5
    assert tries == 3
    now[0] += 86_400_000
    with pytest.raises(SignInRefused):
        await document.get(fetch)


def test_an_answer_is_of_the_sign_in_that_the_browser_began() -> None:
    sign_ins = StartedSignIns()
    started = sign_ins.start("browser", "/alerts", "192.0.2.1", 0)
    for state, browser in (("x", "browser"), (started.state, "")):
        with pytest.raises(SignInRefused):
            sign_ins.finish(state, browser, 0)
    assert sign_ins.finish(started.state, "browser", VALID_MS - 1) is started
    with pytest.raises(SignInRefused):
        sign_ins.finish(started.state, "browser", 0)
    late = sign_ins.start("browser", "/", "192.0.2.1", 0)
    with pytest.raises(SignInRefused, match="ten minutes"):
        sign_ins.finish(late.state, "browser", VALID_MS)


def test_a_flood_of_sign_ins_takes_little_memory_and_ends_with_its_time() -> None:
    sign_ins = StartedSignIns()
    honest = sign_ins.start("hers", "/", "192.0.2.1", 0)
    for number in range(6_000):
        # One host has as many addresses as it likes.
        sign_ins.start("browser", "/", f"2001:db8::{number:x}", 0)
    assert len(sign_ins._by_state) == 5_000
    assert sign_ins.finish(honest.state, "hers", 1) is honest
    sign_ins.start("browser", "/", "192.0.2.1", VALID_MS)
    sign_ins.start("browser", "/", "192.0.2.1", VALID_MS)
    assert len(sign_ins._by_state) == 2
    assert sign_ins._of_network.total() == 2


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        ({"code": ["a", "b"]}, "twice"),
        ({"code": ["a"], "iss": ["https://evil.example"]}, "another issuer"),
        ({"code": ["a"]}, "does not name its issuer"),
        ({"iss": [ISSUER]}, "no code"),
        ({"iss": [ISSUER], "error": ["access_denied"]}, "access_denied"),
        ({"iss": [ISSUER], "error": ["\u202e" * 9], "code": ["a"]}, "an error"),
    ],
)
def test_an_answer_that_is_mixed_up_has_no_code(
    answer: dict[str, list[str]], detail: str
) -> None:
    with pytest.raises(SignInRefused) as refusal:
        code_of(answer, ISSUER, names_issuer=True)
    assert detail in refusal.value.detail
    assert code_of({"code": ["a"]}, ISSUER, names_issuer=False) == "a"


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        "///evil.example",
        "evil.example",
        "",
        "/sign-out",
        "/sign-in/council?next=/",
        "/\u202e",
        "/" + "x" * 2000,
    ],
)
def test_nobody_is_led_elsewhere_after_signing_in(text: str) -> None:
    assert safe_next(text) == "/"


@given(text=st.text(max_size=60))
def test_the_next_page_is_always_one_of_ours(text: str) -> None:
    path = safe_next(text)
    assert path.startswith("/")
    assert not path.startswith("//")
    assert "\\" not in path
    assert path in ("/", text)

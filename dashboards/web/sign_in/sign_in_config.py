"""Settings of signing in: `[web.sign_in]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from collectors.ip_networks import is_loopback_name
from collectors.secret import Secret
from collectors.strict_model import StrictModel
from dashboards.web.visitors import Right, Role

# Signatures with a key that only the provider has (RFC 7518, RFC 8037). Neither `none`
# nor HS256, whose key would be the client secret or, by mistake, the public key.
Algorithm = Literal[
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
]

_ENTRA_HOSTS = ("login.microsoftonline.com", "login.microsoftonline.us")


def secure_address(value: str) -> str:
    """Refuses an address that passwords or tokens would travel to in the clear."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not an address such as https://host.example") from None
    if not host or parts.query or parts.fragment or parts.username:
        raise ValueError("is not an address such as https://host.example")
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback_name(host)):
        return value
    raise ValueError("expected https://; http:// is for 127.0.0.1 only")


class OidcConfig(StrictModel):
    """`[web.sign_in.oidc]`: the council's identity provider, such as Entra ID."""

    issuer: str = Field(description="its address, exactly as its discovery names it")
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: Secret = Secret()
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    role_claims: tuple[str, ...] = Field(
        default=("roles", "groups", "realm_access.roles"),
        description="claims that list roles or groups; a dot leads into a claim",
    )
    name_claims: tuple[str, ...] = ("name", "preferred_username", "email")
    id_claims: tuple[str, ...] = Field(
        default=("oid", "sub"), description="the first that is there stays for good"
    )
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = (
        "RS256",
        "PS256",
        "ES256",
        "Ed25519",
    )
    leeway_s: Annotated[int, Field(ge=0, le=300)] = 60
    renew_s: Annotated[int, Field(ge=60, le=3_600)] = Field(
        default=300, description="how often a session is confirmed by the provider"
    )
    longest_unconfirmed_s: Annotated[int, Field(ge=300, le=604_800)] = Field(
        default=3_600, description="a session that it has not confirmed is over then"
    )
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    ca_file: str = ""
    name: str = Field(
        default="your council account", description="as on the button, after `with`"
    )

    @property
    def needs_offline_access(self) -> bool:
        """Whether the provider gives no refresh token without that scope."""
        is_entra = urlsplit(self.issuer).hostname in _ENTRA_HOSTS
        return is_entra and "offline_access" not in self.scopes

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        if self.longest_unconfirmed_s < self.renew_s:
            raise ValueError("longest_unconfirmed_s: expected renew_s or more")
        return self

    @field_validator("issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        if "{" in value:
            raise ValueError(
                "names no directory: write the tenant's id instead of the braces"
            )
        return secure_address(value)

    @field_validator("scopes")
    @classmethod
    def _scopes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in value:
            raise ValueError('expected "openid" among them')
        return value


class SignInConfig(StrictModel):
    """`[web.sign_in]`. Nobody signs in without `oidc` or `local_users`.

    `roles`: what a role or group of the provider, or of the proxy's header, is here.
    """

    base_url: str = Field(default="", description="the address that browsers use")
    oidc: OidcConfig | None = None
    local_users: bool = False
    file: Path = Field(
        default=Path("var/state/sign-in.sqlite"),
        description="sessions, local users, audit log",
    )
    roles: dict[str, Role] = Field(default_factory=dict)
    everybody: Role | None = Field(
        default=None, description="role of all who sign in and have none of `roles`"
    )
    public: tuple[Right, ...] = Field(
        default=(), description="what may also be seen by those who have not signed in"
    )
    idle_s: Annotated[int, Field(ge=60, le=86_400)] = 3_600
    longest_s: Annotated[int, Field(ge=300, le=604_800)] = 36_000

    @property
    def is_on(self) -> bool:
        return self.oidc is not None or self.local_users

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str) -> str:
        value = value.rstrip("/")
        if value and urlsplit(secure_address(value)).path:
            raise ValueError("expected no path: pages begin at /")
        return value

    @field_validator("roles")
    @classmethod
    def _roles(cls, value: dict[str, Role]) -> dict[str, Role]:
        if Role.PUBLIC in value.values():
            raise ValueError("public is no role of a person")
        return value

    @field_validator("public")
    @classmethod
    def _public(cls, value: tuple[Right, ...]) -> tuple[Right, ...]:
        allowed = (Right.SEE_SUMMARY, Right.SEE_STATUS)
        if wrong := [right for right in value if right not in allowed]:
            raise ValueError(
                f"{wrong[0]} cannot be public: expected {' or '.join(allowed)}"
            )
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.oidc is not None and not self.base_url:
            raise ValueError(
                "base_url is missing: the provider sends people back to that address"
            )
        if self.everybody is Role.PUBLIC:
            raise ValueError("everybody: public is no role of a person")
        if self.oidc is not None and not self.roles and self.everybody is None:
            raise ValueError(
                "roles is missing: without it nobody who signs in may see anything"
            )
        return self

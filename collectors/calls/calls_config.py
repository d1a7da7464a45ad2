"""The settings of Microsoft's record of calls (`[calls]` of towpath.toml)."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from collectors.calls.stream_verdict import RuleForm
from collectors.http import Certificate
from collectors.ip_networks import is_loopback_name
from collectors.secret import Secret
from collectors.strict_model import StrictModel

_GUID = r"^$|^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
Networks = tuple[IPv4Network | IPv6Network, ...]
Identifier = Annotated[str, Field(pattern=_GUID), AfterValidator(str.lower)]
Url = Annotated[str, Field(pattern=r"^https://[^/?#@]+$")]


class NotificationsConfig(StrictModel):
    """`[calls.notifications]`: change notifications. `url` is where Microsoft reaches
    `host` and `port`: through a proxy that has the certificate, or with `certificate`
    and `private_key` here. They are off without `url`."""

    url: Annotated[str, Field(pattern=r"^$|^https://[^/?#@]+/[^?#]+$")] = ""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8446
    certificate: Path | None = None
    private_key: Path | None = None

    @model_validator(mode="after")
    def _has_both(self) -> Self:
        if bool(self.certificate) != bool(self.private_key):
            raise ValueError("expected both certificate and private_key, or neither")
        if not (self.certificate or is_loopback_name(self.host)):
            raise ValueError(
                f"host {self.host} can be reached from elsewhere: expected certificate "
                "and private_key"
            )
        return self

    def pem_files(self) -> Certificate | None:
        """The certificate for TLS; None behind a proxy."""
        if self.certificate is None or self.private_key is None:
            return None
        return Certificate(self.certificate, self.private_key)


class CallsConfig(StrictModel):
    """`tenant` and `client_id` are the directory's and the application's id.

    The application signs in with a `secret`, or with a `certificate`: a PEM file with
    the certificate and its key. A window of 15 minutes is written `settle_s` after its
    end, as records appear late. `longest_call_h`: calls that are longer are not found.
    `first_days`: how far back the first start looks. An hour of telephone calls is
    written `phone_settle_h` after its end.
    """

    enabled: bool = False
    tenant: Identifier = ""
    client_id: Identifier = ""
    secret: Secret = Secret()
    certificate: Path | None = None
    rule: RuleForm = "latest"
    period_s: Annotated[float, Field(ge=60, le=3600)] = 900.0
    settle_s: Annotated[int, Field(ge=1800, le=21_600)] = 10_800
    longest_call_h: Annotated[int, Field(ge=1, le=30)] = 12
    first_days: Annotated[int, Field(ge=0, le=28)] = 1
    at_once: Annotated[int, Field(ge=1, le=16)] = 4
    phone_calls: bool = False
    phone_settle_h: Annotated[int, Field(ge=1, le=32)] = 6
    buildings: Path | None = None
    egress: Networks = ()
    vpn_subnets: Networks = ()
    gateways: dict[str, Networks] = Field(default_factory=dict)
    graph_url: Url = "https://graph.microsoft.com"
    sign_in_url: Url = "https://login.microsoftonline.com"
    ca_file: Path | None = None
    notifications: NotificationsConfig = NotificationsConfig()

    @model_validator(mode="after")
    def _can_sign_in(self) -> Self:
        if self.enabled:
            if not (self.tenant and self.client_id):
                raise ValueError("enabled, so expected tenant and client_id")
            if bool(self.secret) == bool(self.certificate):
                raise ValueError("enabled, so expected secret or certificate, not both")
        return self

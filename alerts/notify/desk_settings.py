"""Settings of a service desk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from alerts.notify.channel_settings import UNLIMITED, ChannelSettings, MessageLimit
from alerts.notify.desk_product import DeskProduct, load_product
from collectors.secret import Secret
from probes.wire.catalogue import did_you_mean


class ServiceDeskConfig(ChannelSettings):
    """`product`: a file of `alerts/notify/desks/`, or `product_file`: a council's own.
    `values`: what that file lets a council set. `fields`: those of every new ticket."""

    kind: Literal["service_desk"] = "service_desk"
    product: str = ""
    product_file: Path | None = None
    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    user: str = ""
    password: Secret = Secret()
    token: Secret = Secret()
    client_id: str = ""
    client_secret: Secret = Secret()
    token_url: str = ""
    values: dict[str, str | int] = Field(default_factory=dict)
    fields: dict[str, Any] = Field(default_factory=dict)
    resolve: bool = True
    refresh_s: Annotated[float, Field(ge=1, le=86_400)] = 300.0
    ca_file: str = ""
    timeout_s: Annotated[float, Field(gt=0)] = 20.0
    limit: MessageLimit = UNLIMITED

    def secrets(self) -> Iterator[tuple[str, Secret]]:
        if self.client_id:
            yield "client_secret", self.client_secret
        elif self.user:
            yield "password", self.password
        else:
            yield "token", self.token

    def load(self) -> DeskProduct:
        """Raises `ValueError` with a sentence."""
        return load_product(self.product, self.product_file)

    def problems(self) -> Iterator[str]:
        try:
            product = self.load()
        except ValueError as error:
            yield str(error)
            return
        way = "oauth2" if self.client_id else "basic" if self.user else "token"
        given = {"oauth2": self.client_secret, "basic": self.password}
        named = {"oauth2": "client_id", "basic": "user", "token": "token"}
        ways = ", ".join(named[allowed] for allowed in product.auth)
        if way not in product.auth:
            yield f"{product.title} knows who asks by one of {ways}"
        elif not given.get(way, self.token):
            yield f"{product.title} knows who asks by one of {ways}, with its secret"
        for name in product.needed_values:
            if name not in self.values:
                yield f"values.{name} is missing: {product.title} needs it"
        for name in self.values:
            if name not in product.values:
                hint = did_you_mean(name, product.values)
                yield f"values.{name}: {product.title} has no such value{hint}"

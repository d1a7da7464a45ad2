"""Settings of the trap receiver."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import Field

from collectors.strict_model import StrictModel

_Positive = Annotated[float, Field(gt=0)]


class TrapsConfig(StrictModel):
    """`[traps]` of towpath.toml.

    `host`: where to listen; `::` includes IPv4. `addresses`: device ids by further
    addresses that they send from. `forwarders`: relays that are trusted to state who
    first sent a trap. `engine_id`: the receiver's own, in hex, for v3 informs; a random
    one is generated and kept by default. `catalog`: a folder of the council's own YAML
    files. `quiet_s`: an event without an end is over after this long without another.
    `receive_bytes`: the socket's buffer, as far as the system grants it.
    """

    enabled: bool = True
    host: str = "::"
    port: Annotated[int, Field(ge=0, le=65535)] = 162
    addresses: dict[IPv4Address | IPv6Address, str] = Field(default_factory=dict)
    forwarders: tuple[IPv4Network | IPv6Network, ...] = ()
    engine_id: Annotated[str, Field(pattern=r"^([0-9a-fA-F]{2}){5,32}$|^$")] = ""
    catalog: Path | None = None
    quiet_s: _Positive = 600.0
    receive_bytes: Annotated[int, Field(ge=65_536)] = 16 << 20
    state_file: Path | None = None

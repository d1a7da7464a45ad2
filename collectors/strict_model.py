"""The base of what people write: settings, the estate, rules, profiles, recordings."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from collectors.ip_networks import parse_network


class StrictModel(BaseModel):
    """Accepts no unknown keys, no NaN and no infinity, and does not change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )


def _network(text: str) -> str:
    if parse_network(text) is None:
        raise ValueError("expected an address or network such as 10.1.2.3")
    return text


IpNetwork = Annotated[str, AfterValidator(_network)]

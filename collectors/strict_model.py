"""The base of what people write: settings, the estate, rules, profiles, recordings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """Accepts no unknown keys, no NaN and no infinity, and does not change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )

"""The API does what its OpenAPI document says, for whatever is sent to it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import structlog
from api_council import CouncilApi
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.transport import requests as transport
from starlette.types import ASGIApp

# Well-formed, but no such name in the catalogue or the estate: the document cannot list
# these, so the answer is 422, or 404 for what the address names.
CONFIG = SchemathesisConfig.from_dict(
    {
        # The token is always sent: that nothing works without one is another test.
        "generation": {"with-security-parameters": False},
        "checks": {
            "positive_data_acceptance": {
                "expected-statuses": ["2xx", "401", "403", "404", "409", "412", "422"]
            }
        },
    }
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ASGIApp, str]]:
    """The application, which shows nothing without a token; and a token."""
    folder = tmp_path_factory.mktemp("api")
    api = CouncilApi(folder)
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    before = structlog.get_config()
    structlog.configure(wrapper_class=quiet)
    limits = {
        "requests_per_minute": 100_000,
        "requests_per_minute_without_token": 100_000,
    }
    sign_in = {"local_users": True, "file": folder / "sign-in.sqlite"}
    page = api.page(api=limits, sign_in=sign_in, hosts=("testserver",))
    with pytest.MonkeyPatch.context() as patch:
        # It counts connections to notice a dropped one. There are none in process, and
        # the urllib3 that comes with grafana-client cannot count them.
        patch.setattr(transport, "_count_opened_connections", lambda session: 0)
        yield page.app, api.secret
    structlog.configure(**before)


def operations(served: tuple[ASGIApp, str]) -> list[Any]:
    app, _ = served
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, config=CONFIG)
    return [result.ok() for result in schema.get_all_operations()]


def check(served: tuple[ASGIApp, str], mode: GenerationMode, examples: int) -> int:
    """Checks every operation with generated requests; returns how many there were."""
    count = 0
    _, secret = served
    for operation in operations(served):
        if "text/event-stream" in str(operation.definition.raw):
            continue

        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def one(case: Any) -> None:
            nonlocal count
            count += 1
            if mode is GenerationMode.POSITIVE and case.query:
                # Only Towpath makes a cursor that is one: any other gets 400.
                case.query.pop("cursor", None)
            case.call_and_validate(headers={"Authorization": f"Bearer {secret}"})

        # An operation without parameters cannot be asked for wrongly.
        with contextlib.suppress(Unsatisfiable):
            one()
    return count


def test_what_the_document_allows_is_answered_as_it_says(
    served: tuple[ASGIApp, str],
) -> None:
    assert check(served, GenerationMode.POSITIVE, 4) > 100


def test_what_the_document_does_not_allow_is_refused(
    served: tuple[ASGIApp, str],
) -> None:
    assert check(served, GenerationMode.NEGATIVE, 4) > 50


@pytest.mark.soak
def test_many_generated_requests_find_no_contradiction(
    served: tuple[ASGIApp, str],
) -> None:
    assert check(served, GenerationMode.POSITIVE, 40) > 400
    assert check(served, GenerationMode.NEGATIVE, 40) > 400

"""The OpenAPI document: by the rules of OpenAPI 3.1, and with examples that fit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from api_council import CouncilApi
from test_web_api_table import BODIES, ROUTES, FullApi

from dashboards.web.api.document_examples import BODY_EXAMPLES, example_of

# The schema of the OpenAPI Initiative, https://spec.openapis.org/oas/3.1/schema/2022-10-07
OFFICIAL = Path(__file__).parent / "data" / "openapi-3.1-schema.json"


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with CouncilApi(tmp_path_factory.mktemp("council")).client("") as client:
        answer = client.get("/openapi.json")
    read: dict[str, Any] = answer.json()
    return read


def test_the_document_keeps_to_the_official_schema_of_openapi(
    document: dict[str, Any],
) -> None:
    official = json.loads(OFFICIAL.read_text("utf-8"))
    errors = jsonschema_rs.validator_for(official).iter_errors(document)
    assert [str(error) for error in errors] == []


def _contents(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in document["paths"].values():
        for operation in path.values():
            name = operation["operationId"]
            if "requestBody" in operation:
                yield (*(name, "body"), operation["requestBody"]["content"])
            for status, response in operation["responses"].items():
                yield (*(name, status), response.get("content", {}))


def test_every_document_and_every_error_has_an_example_that_fits_its_schema(
    document: dict[str, Any],
) -> None:
    components, shown = document["components"], 0
    for name, where, content in _contents(document):
        for kind, described in content.items():
            if described["schema"] == {} or "event-stream" in kind:
                continue
            schema = described["schema"] | {"components": components}
            validator = jsonschema_rs.validator_for(schema)
            errors = list(validator.iter_errors(described["example"]))
            assert errors == [], (name, where, described["example"])
            if where.isdecimal() and int(where) >= 400:
                assert described["example"]["status"] == int(where)
            shown += 1
    assert shown > 400


def test_what_is_shown_as_a_request_is_accepted(tmp_path: Path) -> None:
    with_body = {route.name for route in ROUTES if route.body is not None}
    assert BODY_EXAMPLES.keys() == with_body == BODIES.keys()
    full = FullApi(tmp_path)
    with full.client() as client:
        for route in ROUTES:
            if route.name in BODY_EXAMPLES:
                body = dict(BODY_EXAMPLES[route.name])
                if "ring" in body:
                    body["ring"] = ""
                address = full.address(client, route)
                answer = client.request(route.method, address, json=body)
                assert answer.status_code == route.status, answer.text


def test_an_example_shows_what_is_never_empty() -> None:
    [kind] = {route.answer for route in ROUTES if route.name == "list_alerts"}
    assert example_of(kind)["subject"] == {"line": "town-hall-main"}

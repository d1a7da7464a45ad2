"""The OpenAPI 3.1 document of the API, made of its routes and their types. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from dashboards.web.api.api_problem import MEDIA_TYPE, ApiProblem, Problem
from dashboards.web.api.api_route import ApiRoute
from dashboards.web.api.document_examples import BODY_EXAMPLES, example_of
from dashboards.web.api.written_requests import KEY, LONGEST_KEY

TITLE, VERSION = "Towpath", "1.0.0"
_SCHEMA = "#/components/schemas/{name}"
_LIMIT_HEADERS = ("RateLimit", "RateLimit-Policy")
_HEADERS: dict[str, str] = {
    "ETag": "the version of the document, for If-None-Match and If-Match",
    "Link": 'rel="next": the next page',
    "Location": "the address of what was made",
    "RateLimit": "what is left of the quota, and in how many seconds it is full again",
    "RateLimit-Policy": "the quota: q requests in w seconds",
    "Retry-After": "in how many seconds to try again",
}
# One of the reasons that each status may have.
_DETAILS: dict[int, str] = {
    400: "limit: expected a whole number >= 1",
    401: "the token 'wiki' has expired",
    403: "the token 'wiki' does not have the scope see-devices",
    404: "no site is called 'depott'; did you mean 'depot'?",
    406: "the answer is application/json, which Accept leaves out",
    409: "a request with this Idempotency-Key is not finished",
    412: "it has changed since you read it: read it again",
    413: "expected at most 65536 bytes",
    415: "expected Content-Type: application/json",
    422: "`why` is missing",
    429: "at most 600 requests a minute: try again in 3 seconds",
    500: "Towpath has failed here; its log has why",
    503: "the store does not answer: nothing is known",
}
_ABOUT = (
    "Everything that Towpath's pages show and do, for programs. Times are ISO 8601 in "
    "UTC, units are in the names, and absent figures are null: not measured is not 0. "
    "Errors are problem documents (RFC 9457)."
)


def openapi_document(routes: Iterable[ApiRoute], base: str) -> dict[str, Any]:
    """`base`: the path that the routes' paths begin with."""
    routes = tuple(routes)
    types = _types(routes)
    shapes, components = msgspec.json.schema_components(types, ref_template=_SCHEMA)
    schemas = dict(zip(types, shapes, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operations = paths.setdefault(route.path, {})
        operations[route.method.lower()] = _operation(route, schemas, components)
    # Parameters of an address are not documents.
    hidden = {route.query.__name__ for route in routes}
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION, "description": _ABOUT},
        "servers": [{"url": base}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {
                name: schema
                for name, schema in sorted(components.items())
                if name not in hidden
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "a token of `towpath api token new`",
                }
            },
            "headers": {
                name: {"description": text, "schema": {"type": "string"}}
                for name, text in _HEADERS.items()
            },
        },
    }


def _types(routes: Sequence[ApiRoute]) -> list[Any]:
    wanted: list[Any] = [Problem]
    for route in routes:
        wanted += [route.query, route.body, route.answer]
    return list(dict.fromkeys(type_ for type_ in wanted if type_ is not None))


def _operation(
    route: ApiRoute, schemas: dict[Any, Any], components: dict[str, Any]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "responses": _responses(route, schemas),
    }
    if route.right is None:
        operation["security"] = []
    else:
        operation["description"] = f"Needs the scope `{route.right}`."
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": 200},
        }
        for name in route.names
    ]
    query = components[route.query.__name__]
    required = query.get("required", ())
    parameters += [
        _parameter(name, schema, name in required)
        for name, schema in query.get("properties", {}).items()
    ]
    if 412 in route.problems:
        parameters.append(_header("If-Match", "do it only to this version (ETag)"))
    if route.is_stream:
        parameters.append(
            _header("Last-Event-ID", "go on after this event", maxLength=40)
        )
    if route.is_write:
        parameters.append(
            _header(
                "Idempotency-Key",
                "the same key within a day gets the first answer, and does nothing",
                maxLength=LONGEST_KEY,
                minLength=1,
                pattern=KEY,
            )
        )
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {
                    "schema": schemas[route.body],
                    "example": BODY_EXAMPLES[route.name],
                }
            },
        }
    return operation


def _parameter(name: str, schema: dict[str, Any], required: bool) -> dict[str, Any]:
    schema = dict(schema)
    text = schema.pop("description", "")
    if "anyOf" in schema:
        # Null is to leave it out.
        kinds = [kind for kind in schema["anyOf"] if kind != {"type": "null"}]
        schema = dict(kinds[0])
        text = schema.pop("description", text)
    elif "enum" in schema and None in schema["enum"]:
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    if schema.get("default") in (None, "", []):
        schema.pop("default", None)
    parameter: dict[str, Any] = {"name": name, "in": "query", "required": required}
    return parameter | ({"description": text} if text else {}) | {"schema": schema}


def _header(name: str, text: str, **more: Any) -> dict[str, Any]:
    schema = {"type": "string", **more}
    return {
        "name": name, "in": "header", "required": False, "description": text,
        "schema": schema,
    }  # fmt: skip


def _responses(route: ApiRoute, schemas: dict[Any, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    names = list(_LIMIT_HEADERS)
    if not route.is_write and not route.is_stream:
        names.append("ETag")
    if route.order is not None:
        names.append("Link")
    if route.status == 201 and route.method == "POST":
        names.append("Location")
    good["headers"] = {
        name: {"$ref": f"#/components/headers/{name}"} for name in sorted(names)
    }
    if route.answer is not None:
        schema, example = schemas[route.answer], example_of(route.answer)
        if route.order is not None:
            schema, example = _list_of(schema), {"items": [example], "next": None}
        good["content"] = {route.media_type: {"schema": schema, "example": example}}
    elif route.status != 204:
        good["content"] = {route.media_type: {"schema": {}}}
    responses = {str(route.status): good}
    if not route.is_write and not route.is_stream:
        responses["304"] = {"description": HTTPStatus.NOT_MODIFIED.phrase}
    # A token that is sent is always looked up, even if none is needed.
    statuses = {400, 401, 406, 429, 500, 503, *route.problems}
    if route.right is not None:
        statuses.add(403)
    if route.is_write:
        statuses |= {409, 422}
    if route.body is not None:
        statuses |= {413, 415}
    for status in sorted(statuses):
        responses[str(status)] = _problem(status, schemas[Problem])
    return responses


def _problem(status: int, schema: Any) -> dict[str, Any]:
    example = json.loads(ApiProblem(status, _DETAILS[status]).body())
    response: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": schema, "example": example}},
    }
    if status in (429, 503):
        response["headers"] = {
            "Retry-After": {"$ref": "#/components/headers/Retry-After"}
        }
    return response


def _list_of(schema: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": schema},
            "next": {
                "type": ["string", "null"],
                "description": "`cursor` of the next page; null at the end",
            },
        },
    }

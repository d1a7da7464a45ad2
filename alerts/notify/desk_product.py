"""`DeskProduct`: how to talk to one product of service desk, as data. Files in
`alerts/notify/desks/`; a council may add its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from collectors.config_errors import explain
from collectors.strict_model import StrictModel
from collectors.yaml_file import Loader
from probes.wire.catalogue import did_you_mean

FOLDER = Path(__file__).parent / "desks"
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
# What Towpath fills in for every request; the last two once there is a ticket. `_html`:
# the same, for fields that are HTML.
KNOWN = frozenset(
    {
        "correlation_id",
        "title",
        "text",
        "text_html",
        "note",
        "note_html",
        "marker",
        "url",
        "severity",
        "site",
        "site_name",
        "device",
        "rule",
        "ticket_id",
        "ticket_name",
    }
)


DeskAuth = Literal["basic", "token", "oauth2"]


class DeskRequest(StrictModel):
    """One request. Texts may have `{placeholders}`; one alone keeps its type."""

    method: Literal["GET", "POST", "PUT", "PATCH"] = "GET"
    path: str
    query: dict[str, str] = Field(default_factory=dict)
    body: Any = None
    # Where the ticket, or the list of tickets, is in the answer.
    answer: str = ""
    # Not sent if the council has not set these values.
    needs: tuple[str, ...] = ()


class DeskState(StrictModel):
    """A field of a ticket and the values that mean something."""

    field: str
    values: tuple[str | int | None, ...]


class DeskToken(StrictModel):
    """OAuth2 client credentials: where the token comes from."""

    url: str
    form: dict[str, str] = Field(default_factory=dict)


class DeskProduct(StrictModel):
    """`values`: what a council can set, with defaults; None: it must be set.
    `by_severity`: placeholders that depend on the severity. `untouched`: the state of a
    ticket that nobody has taken, all of them; anything else is held by a person.
    `resolved`: the part of `closed` that `resolve` leaves and `reopen` may end.
    `ignores_unknown`: it creates a ticket although a field of it does not exist."""

    title: str
    auth: Annotated[
        tuple[Literal["basic", "token", "oauth2"], ...], Field(min_length=1)
    ]
    token_header: str = "Bearer {token}"
    basic_from_token: bool = False
    oauth2: DeskToken | None = None
    values: dict[str, str | int | None] = Field(default_factory=dict)
    by_severity: dict[str, dict[str, str | int]] = Field(default_factory=dict)
    ticket_id: str
    ticket_name: str
    find: DeskRequest
    # The field of a found ticket that must have the correlation id: searches are wide.
    find_match: str
    # How long after its creation a ticket may be missing in `find`.
    search_lag_s: float = 0.0
    get: DeskRequest
    create: DeskRequest
    # Where a council's own fields go in the body of `create`.
    fields_at: str = ""
    note: DeskRequest
    has_note: DeskRequest | None = None
    resolve: DeskRequest | None = None
    reopen: DeskRequest | None = None
    untouched: tuple[DeskState, ...]
    closed: DeskState
    resolved: DeskState | None = None
    ignores_unknown: bool = False

    @property
    def needed_values(self) -> list[str]:
        return [name for name, default in self.values.items() if default is None]

    def requests(self) -> Iterator[tuple[str, DeskRequest]]:
        names = ("find", "get", "create", "note", "has_note", "resolve", "reopen")
        for name in names:
            request = getattr(self, name)
            if request is not None:
                yield name, request

    def unknown_placeholders(self) -> Iterator[str]:
        """A sentence for each placeholder that nothing fills in."""
        known = {*KNOWN, *self.values, *self.by_severity}
        for name, request in self.requests():
            for placeholder in placeholders(request.model_dump()):
                if placeholder not in known:
                    yield (
                        f"{name}: nothing is called {{{placeholder}}}"
                        f"{did_you_mean(placeholder, known)}"
                    )


def product_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_product(name: str, file: Path | None = None) -> DeskProduct:
    """Returns the product of that name, or of a council's own file. Raises `ValueError`
    with a sentence."""
    path = file or FOLDER / f"{name}.yaml"
    if file is None and name not in product_names():
        raise ValueError(
            f"no service desk is called {name!r}: one of {', '.join(product_names())}"
            f"{did_you_mean(name, product_names())}"
        )
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader)
        product = DeskProduct.model_validate(raw)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: is not valid YAML: {reason}") from None
    except ValidationError as error:
        findings = [f"{at} {text}" for at, text in explain(error, DeskProduct)]
        raise ValueError(f"{path}: {'; '.join(findings)}") from None
    for sentence in product.unknown_placeholders():
        raise ValueError(f"{path}: {sentence}")
    return product


def placeholders(value: Any) -> Iterator[str]:
    """The names in braces in a text or in all texts of a JSON value. Pure."""
    if isinstance(value, str):
        yield from _PLACEHOLDER.findall(value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from placeholders(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from placeholders(item)


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with its placeholders filled in. A text that is one placeholder
    becomes that value, with its type. Pure."""
    if isinstance(template, dict):
        return {name: fill(item, values) for name, item in template.items()}
    if isinstance(template, list | tuple):
        return [fill(item, values) for item in template]
    if not isinstance(template, str):
        return template
    whole = _PLACEHOLDER.fullmatch(template)
    if whole:
        return values.get(whole[1], "")
    return _PLACEHOLDER.sub(lambda found: str(values.get(found[1], "")), template)


def pick(data: Any, path: str) -> Any:
    """`fields.status.name` of a JSON value; None if it is not there. Pure."""
    for part in path.split(".") if path else ():
        if isinstance(data, list) and part.isdigit():
            data = data[int(part)] if int(part) < len(data) else None
        elif isinstance(data, dict):
            data = data.get(part)
        else:
            return None
    return data

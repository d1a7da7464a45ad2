"""Options that belong together, as one dataclass parameter of a typer command."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

_Result = TypeVar("_Result")
# As in `collectors.snmp.session.credentials`, which takes long to import.
_PASSWORDS = {
    "auth_password": "TOWPATH_SNMP_AUTH_PASSWORD",
    "priv_password": "TOWPATH_SNMP_PRIV_PASSWORD",
}


def expand_options(command: Callable[..., _Result]) -> Callable[..., _Result]:
    """Replace each dataclass parameter of a typer command by its fields as options.

    A field has an `Annotated` type, as a parameter has, and a default.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {
        name: hint for name, hint in hints.items() if is_dataclass(hint)
    }
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in groups:
            parameters += _to_parameters(groups[parameter.name])
        else:
            parameters.append(
                parameter.replace(
                    kind=inspect.Parameter.KEYWORD_ONLY,
                    annotation=hints[parameter.name],
                )
            )

    @functools.wraps(command)
    def call(**values: Any) -> _Result:
        for name, group in groups.items():
            options = {field.name: values.pop(field.name) for field in fields(group)}
            values[name] = group(**options)
        return command(**values)

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    return call


def _to_parameters(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]


@dataclass(frozen=True)
class CredentialOptions:
    """An SNMP credential on the command line."""

    community: Annotated[str | None, typer.Option(help="SNMP v1 or v2c community")] = (
        None
    )
    version: Annotated[str | None, typer.Option("--version", help="1, 2c or 3")] = None
    user: Annotated[str | None, typer.Option(help="SNMPv3 user")] = None
    auth: Annotated[str | None, typer.Option(help="sha256 (default), sha512 …")] = None
    auth_password: Annotated[
        str | None,
        typer.Option(envvar=_PASSWORDS["auth_password"], help="SNMPv3 authentication"),
    ] = None
    priv: Annotated[str | None, typer.Option(help="aes128 (default), aes256 …")] = None
    priv_password: Annotated[
        str | None,
        typer.Option(envvar=_PASSWORDS["priv_password"], help="SNMPv3 privacy"),
    ] = None

    def given(self) -> dict[str, str]:
        """Return the options that were given, by the keys of a credentials file.

        Passwords from the environment count only with a user: they may be set for
        other commands.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.user is None:
            for key, variable in _PASSWORDS.items():
                if values[key] == os.environ.get(variable):
                    values[key] = None
        return {key: value for key, value in values.items() if value is not None}

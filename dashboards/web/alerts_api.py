"""`/api/alerts/…`: list, acknowledge and silence alerts, plan maintenance, by token.

Everything is a POST with JSON and a bearer token, so that no link, scanner or foreign
page can do it. Each answer is JSON; a refusal has one sentence as `error`. Who acts is
the person whom the program names, and the token's name.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, get_args

import msgspec
import structlog
from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alerts.acknowledgement import Share, acknowledge
from alerts.alert_access import add_silence, end_silence, list_silences, open_alerts
from alerts.api_tokens import (
    ALERT_SCOPES,
    ApiTokens,
    AuditEntry,
    TokenRefused,
    acting_name,
    tokens_file,
)
from alerts.maintenance_commands import OPTIONS, maintenance_add
from alerts.maintenance_windows import Scope
from alerts.rule_files import Rules
from alerts.silence import NOTHING_NAMED, scope_text, silence_of
from alerts.unknown_names import unknown_in_silence
from collectors.config_errors import explain
from collectors.estate import Estate
from collectors.limited_body import read_limited
from collectors.strict_model import StrictModel
from dashboards.web.action_pages import LONGEST_WHO, LONGEST_WHY
from dashboards.web.status_api import alert_fields
from probes.wire.catalogue import did_you_mean
from probes.wire.clock import WallClock
from probes.wire.durations import parse_duration_ms

_log = structlog.get_logger()
_MOST_BODY_BYTES = 8_192
_LONGEST_MS = 31 * 86_400_000

Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]
Who = Annotated[Line, Field(min_length=1, max_length=LONGEST_WHO)]
Why = Annotated[Line, Field(max_length=LONGEST_WHY)]


class ApiRefusal(Exception):
    """The request is not done. The text is a sentence for its sender."""

    def __init__(self, why: str, status: int) -> None:
        super().__init__(why)
        self.status = status


class ListRequest(StrictModel):
    """`all`: with suppressed and pending alerts."""

    action: ClassVar[str] = "list"
    all: bool = False
    who: Why = ""
    why: Why = ""

    @property
    def about(self) -> str:
        return ""


class AcknowledgeRequest(StrictModel):
    """`key`: as `list` has it."""

    action: ClassVar[str] = "acknowledge"
    key: str
    who: Who
    why: Why = ""

    @property
    def about(self) -> str:
        return self.key


class _ScopeRequest(Scope):
    @property
    def about(self) -> str:
        return scope_text(self.named)


class SilenceRequest(_ScopeRequest):
    """No pages `lasting` (`2h`) from now for what it names."""

    action: ClassVar[str] = "silence"
    lasting: str
    who: Who
    why: Annotated[Why, Field(min_length=1)]


class MaintenanceRequest(_ScopeRequest):
    """Planned work: from `start` (local time; else now) for `lasts` or until `end`,
    once or as `rrule` says."""

    action: ClassVar[str] = "maintenance"
    start: Line = ""
    end: Line = ""
    lasts: Line = ""
    rrule: Line = ""
    who: Who
    why: Annotated[Why, Field(min_length=1)]


class UnsilenceRequest(StrictModel):
    action: ClassVar[str] = "unsilence"
    id: int
    who: Who
    why: Why = ""

    @property
    def about(self) -> str:
        return f"silence {self.id}"


_Wanted = (
    ListRequest
    | AcknowledgeRequest
    | SilenceRequest
    | MaintenanceRequest
    | UnsilenceRequest
)


class AlertsApi:
    """`known` returns the rules and the estate, to check names against. `timezone` is
    that of the times of maintenance."""

    def __init__(
        self,
        standing: Path,
        known: Callable[[], tuple[Rules, Estate]],
        now_ms: WallClock,
        timezone: str,
        share: Share | None = None,
    ) -> None:
        self._standing, self._known, self._now_ms = standing, known, now_ms
        self._share = share
        self._timezone = timezone
        self._tokens = ApiTokens(tokens_file(standing))

    @property
    def routes(self) -> list[Route]:
        models = get_args(_Wanted)
        return [
            Route(
                f"/api/alerts/{model.action}", self._endpoint(model), methods=["POST"]
            )
            for model in models
        ]

    def _endpoint(self, model: type[_Wanted]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                secret = _bearer_token(request)
                body = await _body(request)
                answer = await asyncio.to_thread(self._answer, model, secret, body)
            except ApiRefusal as refusal:
                headers = (
                    {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
                )
                return JSONResponse({"error": str(refusal)}, refusal.status, headers)
            except (sqlite3.Error, OSError) as error:
                _log.warning("api_not_recorded", action=model.action, error=repr(error))
                return JSONResponse(
                    {"error": f"this could not be recorded ({error}): try again"}, 503
                )
            return JSONResponse(answer)

        return endpoint

    def _answer(self, model: type[_Wanted], secret: str, body: bytes) -> dict[str, Any]:
        now_ms = self._now_ms()
        try:
            known = self._tokens.check(secret, now_ms)
        except TokenRefused as error:
            _log.warning("api_token_refused", action=model.action, error=str(error))
            raise ApiRefusal(str(error), 401) from None
        token = known.name
        if missing := set(ALERT_SCOPES) - known.scopes:
            raise ApiRefusal(
                f"the token {token!r} does not have the scope {min(missing)}", 403
            )
        wanted = _read(model, body)
        who = acting_name(token, wanted.who)
        outcome = "done"
        try:
            return self._do(wanted, who, now_ms)
        except ApiRefusal as refusal:
            outcome = str(refusal)
            raise
        finally:
            if not isinstance(wanted, ListRequest):
                entry = AuditEntry(
                    now_ms,
                    token,
                    wanted.action,
                    wanted.about,
                    wanted.who,
                    wanted.why,
                    outcome,
                )
                self._tokens.record(entry)
                _log.info("api_used", **msgspec.structs.asdict(entry))

    def _do(self, wanted: _Wanted, who: str, now_ms: int) -> dict[str, Any]:
        match wanted:
            case ListRequest():
                return self._list(wanted.all, now_ms)
            case AcknowledgeRequest():
                return self._acknowledge(wanted, who, now_ms)
            case SilenceRequest():
                return self._silence(wanted, who, now_ms)
            case MaintenanceRequest():
                return self._plan(wanted, who, now_ms)
            case UnsilenceRequest():
                if not end_silence(self._standing, wanted.id, now_ms, who):
                    raise ApiRefusal(
                        f"there is no silence {wanted.id} in force or planned", 404
                    )
                return {"id": wanted.id}

    def _list(self, everything: bool, now_ms: int) -> dict[str, Any]:
        alerts = [
            alert
            for alert in open_alerts(self._standing)
            if everything or (alert.state == "firing" and not alert.suppressed_by)
        ]
        silences = list_silences(self._standing, now_ms)
        return {
            "generated_ms": now_ms,
            "alerts": [alert_fields(alert) for alert in alerts],
            "silences": [msgspec.to_builtins(silence) for silence in silences],
        }

    def _acknowledge(
        self, wanted: AcknowledgeRequest, who: str, now_ms: int
    ) -> dict[str, Any]:
        try:
            alert, is_new = acknowledge(
                self._standing, wanted.key, who, wanted.why, now_ms, self._share
            )
        except LookupError:
            known = [alert.key for alert in open_alerts(self._standing)]
            raise ApiRefusal(
                f"no open alert is called {wanted.key!r}"
                f"{did_you_mean(wanted.key, known)}",
                404,
            ) from None
        if not is_new:
            raise ApiRefusal(
                f"{alert.acknowledged_by} has acknowledged this already", 409
            )
        return {"alert": alert_fields(alert)}

    def _silence(self, wanted: SilenceRequest, who: str, now_ms: int) -> dict[str, Any]:
        if not wanted.named:
            raise ApiRefusal(NOTHING_NAMED, 400)
        try:
            lasting_ms = parse_duration_ms(wanted.lasting)
        except ValueError as error:
            raise ApiRefusal(f"lasting: {error}", 400) from None
        if not 0 < lasting_ms <= _LONGEST_MS:
            raise ApiRefusal("lasting: expected more than nothing, at most 31d", 400)
        silence = silence_of(wanted.named, now_ms, now_ms + lasting_ms, wanted.why, who)
        for problem in unknown_in_silence(silence, *self._known()):
            raise ApiRefusal(problem, 400)
        return {"silence": msgspec.to_builtins(add_silence(self._standing, silence))}

    def _plan(
        self, wanted: MaintenanceRequest, who: str, now_ms: int
    ) -> dict[str, Any]:
        fields = {**wanted.model_dump(), "who": who}
        said: list[str] = []
        failed = maintenance_add(
            self._standing,
            fields,
            self._timezone,
            now_ms,
            self._known(),
            said.append,
            {name: name for name in OPTIONS},
        )
        if failed:
            raise ApiRefusal("; ".join(said), 400)
        return {"planned": said}


def _bearer_token(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.casefold() != "bearer" or not secret.strip():
        raise ApiRefusal(
            "expected the header Authorization: Bearer, with a token of `towpath "
            "alerts token`",
            401,
        )
    return secret.strip()


async def _body(request: Request) -> bytes:
    body = await read_limited(request.stream(), _MOST_BODY_BYTES)
    if body is None:
        raise ApiRefusal(f"expected at most {_MOST_BODY_BYTES} bytes", 413)
    return body


def _read(model: type[_Wanted], body: bytes) -> _Wanted:
    try:
        fields = msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ApiRefusal(f"expected a JSON object: {error}", 400) from None
    try:
        return model.model_validate(fields, strict=True)
    except ValidationError as error:
        sentences = [f"{at}: {text}" for at, text in explain(error, model)]
        raise ApiRefusal("; ".join(sentences), 400) from None

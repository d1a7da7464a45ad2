"""Operations of the API on alerts, silences and maintenance, in the alert engine's
file. They make the same checks as the command line, by the same functions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec

from alerts.acknowledgement import Share, acknowledge
from alerts.alert import Alert
from alerts.alert_access import (
    add_silence,
    end_silence,
    list_silences,
    open_alerts,
    recent_alerts,
)
from alerts.api_tokens import acting_name
from alerts.maintenance_commands import OPTIONS, maintenance_add, maintenance_stop
from alerts.planned_silences import recurring_windows
from alerts.rule_files import Rules
from alerts.silence import NOTHING_NAMED, Silence, scope_text, silence_of
from alerts.unknown_names import unknown_in_silence
from collectors.estate import Estate
from dashboards.web.api.alert_documents import (
    AcknowledgeBody,
    AlertDocument,
    AlertState,
    MaintenanceBody,
    PlannedDocument,
    SilenceBody,
    SilenceDocument,
    WindowDocument,
    alert_document,
    alert_id,
    silence_document,
    window_document,
)
from dashboards.web.api.api_paging import Paged
from dashboards.web.api.api_problem import ApiProblem, no_such
from dashboards.web.api.api_route import ApiCall, ApiRoute, Made, by_id, get_route
from dashboards.web.api.estate_documents import Id, Moment, Severity, epoch_ms
from dashboards.web.visitors import Right

_LONGEST_MS = 400 * 86_400_000


class AlertQuery(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Without parameters: those that are open."""

    site: Id = ""
    severity: Severity | None = None
    state: AlertState | None = None
    since: Annotated[
        Moment | None, msgspec.Meta(description="also those that ended since then")
    ] = None


class AlertOperations:
    """`standing` is the alert engine's file; `known` returns the rules and the estate,
    to check names against; `timezone` is that of the times of maintenance."""

    def __init__(
        self,
        standing: Path,
        known: Callable[[], tuple[Rules, Estate]],
        timezone: str,
        share: Share | None = None,
    ) -> None:
        self._standing, self._known, self._timezone = standing, known, timezone
        self._share = share

    @property
    def routes(self) -> list[ApiRoute]:
        see, act = Right.SEE_STATUS, Right.ACT_ON_ALERTS
        return [
            get_route(
                "/alerts",
                "list_alerts",
                "Open alerts, newest first",
                see,
                self.alerts,
                AlertDocument,
                query=AlertQuery,
                order=lambda alert: (-alert.since_at.timestamp(), alert.id),
            ),
            get_route(
                "/alerts/{alert}",
                "get_alert",
                "One alert, open or ended in the last 400 days",
                see,
                self.alert,
                AlertDocument,
            ),
            ApiRoute(
                "PUT",
                "/alerts/{alert}/acknowledgement",
                "acknowledge_alert",
                "Say who works on an alert",
                act,
                self.acknowledge,
                AlertDocument,
                body=AcknowledgeBody,
                problems=(404, 409, 412, 503),
            ),
            get_route(
                "/silences",
                "list_silences",
                "Silences and maintenance, in force or planned",
                see,
                self.silences,
                SilenceDocument,
                query=Paged,
                order=by_id,
            ),
            ApiRoute(
                "POST",
                "/silences",
                "add_silence",
                "Send no pages for a while",
                act,
                self.silence,
                SilenceDocument,
                body=SilenceBody,
                status=201,
                problems=(409, 503),
                about=_scope,
            ),
            get_route(
                "/silences/{silence}",
                "get_silence",
                "One silence",
                see,
                self.one_silence,
                SilenceDocument,
            ),
            ApiRoute(
                "DELETE",
                "/silences/{silence}",
                "end_silence",
                "End a silence, or maintenance, now",
                act,
                self.end,
                None,
                status=204,
                problems=(404, 412, 503),
            ),
            get_route(
                "/maintenance-windows",
                "list_maintenance_windows",
                "Maintenance that recurs",
                see,
                self.windows,
                WindowDocument,
                query=Paged,
                order=by_id,
            ),
            ApiRoute(
                "POST",
                "/maintenance",
                "plan_maintenance",
                "Plan work, once or again and again",
                act,
                self.plan,
                PlannedDocument,
                body=MaintenanceBody,
                status=201,
                problems=(409, 503),
                about=_scope,
            ),
            ApiRoute(
                "DELETE",
                "/maintenance-windows/{window}",
                "stop_maintenance_window",
                "Stop maintenance that recurs, with all its times",
                act,
                self.stop,
                None,
                status=204,
                problems=(404, 412, 503),
            ),
        ]

    async def alerts(self, call: ApiCall) -> list[AlertDocument]:
        wanted = call.query
        alerts = await asyncio.to_thread(self._read, wanted.since, call.now_ms)
        return [
            alert_document(alert)
            for alert in alerts
            if wanted.site in ("", alert.site)
            and wanted.severity in (None, alert.severity)
            and wanted.state in (None, alert.state)
        ]

    async def alert(self, call: ApiCall) -> AlertDocument:
        return alert_document(await self._one(call))

    async def acknowledge(self, call: ApiCall) -> AlertDocument:
        alert = await self._one(call)
        call.check_match(alert_document(alert))
        if alert.state == "resolved":
            raise ApiProblem(409, "this alert is over: there is nothing left to do")
        who = _who(call)
        try:
            after, is_new = await asyncio.to_thread(
                acknowledge,
                self._standing,
                alert.key,
                who,
                call.body.why,
                call.now_ms,
                self._share,
            )
        except LookupError:
            raise ApiProblem(409, "this alert has just ended") from None
        if not is_new and after.acknowledged_by != who:
            raise ApiProblem(
                409, f"{after.acknowledged_by} has acknowledged this already"
            )
        return alert_document(after)

    async def silences(self, call: ApiCall) -> list[SilenceDocument]:
        silences = await asyncio.to_thread(list_silences, self._standing, call.now_ms)
        return [
            silence_document(silence, call.now_ms)
            for silence in silences
            if silence.until_ms > call.now_ms
        ]

    async def one_silence(self, call: ApiCall) -> SilenceDocument:
        return silence_document(await self._silence(call), call.now_ms)

    async def silence(self, call: ApiCall) -> Made:
        body: SilenceBody = call.body
        if not body.named:
            raise ApiProblem(422, NOTHING_NAMED)
        until_ms = call.now_ms + body.lasting_s * 1000
        silence = silence_of(body.named, call.now_ms, until_ms, body.why, _who(call))
        for problem in unknown_in_silence(silence, *self._known()):
            raise ApiProblem(422, problem)
        added = await asyncio.to_thread(add_silence, self._standing, silence)
        return Made(silence_document(added, call.now_ms), f"/silences/{added.id}")

    async def end(self, call: ApiCall) -> None:
        silence = await self._silence(call)
        call.check_match(silence_document(silence, call.now_ms))
        await asyncio.to_thread(
            end_silence, self._standing, silence.id, call.now_ms, _who(call)
        )

    async def windows(self, call: ApiCall) -> list[WindowDocument]:
        windows = await asyncio.to_thread(recurring_windows, self._standing)
        return [window_document(id, window) for id, window in windows.items()]

    async def plan(self, call: ApiCall) -> PlannedDocument:
        body: MaintenanceBody = call.body
        fields = {**msgspec.structs.asdict(body), "who": _who(call)}
        said: list[str] = []
        failed = await asyncio.to_thread(
            maintenance_add,
            self._standing,
            fields,
            self._timezone,
            call.now_ms,
            self._known(),
            said.append,
            {name: name for name in OPTIONS},
        )
        if failed:
            raise ApiProblem(422, "; ".join(said))
        return PlannedDocument(tuple(said))

    async def stop(self, call: ApiCall) -> None:
        windows = await asyncio.to_thread(recurring_windows, self._standing)
        id = call.path["window"]
        if id not in windows:
            raise no_such("maintenance window", id)
        call.check_match(window_document(id, windows[id]))
        await asyncio.to_thread(
            maintenance_stop,
            self._standing,
            int(id),
            self._timezone,
            call.now_ms,
            lambda text: None,
        )

    def _read(self, since: datetime | None, now_ms: int) -> list[Alert]:
        if since is None:
            return open_alerts(self._standing)
        since_ms = max(epoch_ms(since), now_ms - _LONGEST_MS)
        return recent_alerts(self._standing, since_ms)

    async def _one(self, call: ApiCall) -> Alert:
        wanted = call.path["alert"]
        since_ms = call.now_ms - _LONGEST_MS
        for alert in await asyncio.to_thread(recent_alerts, self._standing, since_ms):
            if alert_id(alert) == wanted:
                return alert
        raise no_such("alert", wanted)

    async def _silence(self, call: ApiCall) -> Silence:
        id = call.path["silence"]
        silences = await asyncio.to_thread(list_silences, self._standing, call.now_ms)
        for silence in silences:
            if str(silence.id) == id and silence.until_ms > call.now_ms:
                return silence
        raise no_such("silence", id)


def _who(call: ApiCall) -> str:
    if not call.caller.is_token:
        return call.caller.name
    return acting_name(call.caller.name, getattr(call.body, "who", "").strip())


def _scope(call: ApiCall) -> str:
    return scope_text(call.body.named)

"""The pages behind the links of messages: acknowledge an alert, or silence it.

A GET or HEAD only shows the page. What it offers is done by a POST, from its button:
mail scanners and chat previews fetch links, and must change nothing.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alerts.acknowledgement import (
    AlreadyAcknowledged,
    Share,
    acknowledge_by_link,
    linked_alert,
    open_episode,
    silence_by_link,
)
from alerts.action_link import (
    ACTIONS,
    ActionName,
    LinkRefused,
    LinkSigner,
    SignedLink,
)
from alerts.alert import Alert
from alerts.alert_config import AlertConfig
from alerts.silence import silence_of
from dashboards.web.page_forms import read_form
from dashboards.web.sign_in.access_audit import AccessAudit
from dashboards.web.visitor_recognition import present_request, present_visitor
from probes.wire.clock import WallClock

_log = structlog.get_logger()
LONGEST_WHO, LONGEST_WHY = 80, 300
HOURS = (1, 2, 4, 8, 24)
# The channel of links that are made on the status page.
STATUS_PAGE = "status page"


class ActionForm(msgspec.Struct):
    """What a person typed. `errors`: field → what is wrong with it."""

    who: str = ""
    why: str = ""
    hours: int = 2
    scope: str = "alert"
    errors: dict[str, str] = {}


class AlertActions:
    """What links do, in the alert engine's file. Its methods block."""

    def __init__(
        self,
        signer: LinkSigner,
        standing: Path,
        now_ms: WallClock,
        share: Share | None = None,
    ) -> None:
        self._signer, self._standing, self._now_ms = signer, standing, now_ms
        self._share = share

    def read(self, token: str) -> tuple[SignedLink, Alert]:
        """Raises `LinkRefused`."""
        signed = self._signer.read(token, self._now_ms())
        return signed, linked_alert(self._standing, signed)

    def path(self, action: ActionName, key: str) -> str:
        """The address of a new link, as messages have them, for an open alert. Raises
        `LinkRefused`."""
        try:
            episode = open_episode(self._standing, key)
        except LookupError:
            raise LinkRefused("This alert is over, or not known here.", 410) from None
        try:
            return self._signer.path(action, episode, STATUS_PAGE, self._now_ms())
        except LookupError as error:
            raise LinkRefused(f"Links cannot be made: {error}.", 503) from None

    def act(self, token: str, form: ActionForm) -> SignedLink:
        """Raises `LinkRefused`."""
        now_ms = self._now_ms()
        signed = self._signer.read(token, now_ms)
        if signed.link.action == "acknowledge":
            acknowledge_by_link(
                self._standing, signed, form.who, form.why, now_ms, self._share
            )
            return signed
        alert = linked_alert(self._standing, signed)
        scope = silence_scopes(alert).get(form.scope) or silence_scopes(alert)["alert"]
        until_ms = now_ms + form.hours * 3_600_000
        silence = silence_of(scope, now_ms, until_ms, form.why, form.who)
        silence_by_link(self._standing, signed, silence)
        return signed


def alert_actions(
    config: AlertConfig, now_ms: WallClock, share: Share | None = None
) -> AlertActions | None:
    """What links do by these settings; None if messages have none."""
    signer = LinkSigner(config.links, config.base_url)
    if not signer.is_on:
        return None
    return AlertActions(signer, config.standing, now_ms, share)


def silence_scopes(alert: Alert) -> dict[str, dict[str, str]]:
    """What a silence from this alert can be of: name → scope, the narrowest first.
    Pure."""
    scopes: dict[str, dict[str, str]] = {}
    about = {
        kind: alert.subject[kind]
        for kind in ("device", "line")
        if alert.subject.get(kind)
    }
    place = about or ({"site": alert.site} if alert.site else {})
    scopes["alert"] = {"rule": alert.rule, **place}
    for kind, name in about.items():
        scopes[kind] = {kind: name}
    if alert.site:
        scopes["site"] = {"site": alert.site}
    return scopes


class ActionPages:
    """`render(template, status, **values)` makes a page of the website."""

    def __init__(
        self,
        actions: AlertActions,
        render: Callable[..., Response],
        audit: AccessAudit | None = None,
    ) -> None:
        self._actions, self._render_page, self._audit = actions, render, audit

    async def start(self, request: Request) -> Response:
        """Makes a link for an alert of the status page, and leads there. This changes
        nothing, and a page of another website cannot read the link."""
        action, key = request.path_params["action"], request.path_params["key"]
        wanted = next((known for known in ACTIONS if known == action), None)
        if wanted is None:
            return self._refused(LinkRefused("There is no such action.", 404))
        try:
            path = await asyncio.to_thread(self._actions.path, wanted, key)
        except LinkRefused as refusal:
            return self._refused(refusal)
        return RedirectResponse(path, 303)

    async def page(self, request: Request) -> Response:
        token, is_post = request.path_params["token"], request.method == "POST"
        name = _one_line(present_visitor().name)[:LONGEST_WHO]
        form = await _read_action(request) if is_post else ActionForm(who=name)
        try:
            if is_post and not form.errors:
                return await self._act(token, form)
            return await self._form(token, form, 400 if is_post else 200)
        except LinkRefused as refusal:
            if is_post and refusal.status >= 500:
                # What was typed comes back, to be sent again.
                raise HTTPException(refusal.status, str(refusal)) from None
            return self._refused(refusal, form.why)
        except (sqlite3.Error, OSError) as error:
            return await self._not_recorded(token, form, error, is_post)

    async def _not_recorded(
        self, token: str, form: ActionForm, error: Exception, is_post: bool
    ) -> Response:
        """The form again as it was sent, if the alert can be read."""
        _log.warning("action_not_recorded", error=repr(error))
        text = (
            f"This could not be recorded ({error}). Try again in a minute, or use the "
            "command line: towpath alerts ack."
        )
        if not is_post:
            return self._refused(LinkRefused(text, 503))
        try:
            failed = msgspec.structs.replace(form, errors={"": text})
            return await self._form(token, failed, 503)
        except (LinkRefused, sqlite3.Error, OSError):
            raise HTTPException(503, text) from None

    async def _act(self, token: str, form: ActionForm) -> Response:
        signed = await asyncio.to_thread(self._actions.act, token, form)
        await self._record(form.who, signed)
        _log.info(
            "alert_acted_on",
            action=signed.link.action,
            episode=signed.link.episode,
            channel=signed.link.channel,
        )
        # To a page that may be reloaded without acting again.
        return RedirectResponse(f"/act/done/{signed.link.action}", 303)

    async def _record(self, who: str, signed: SignedLink) -> None:
        """It is done already, so a full disk is logged and changes nothing."""
        if self._audit is None:
            return
        visitor, action = present_visitor(), f"{signed.link.action} alert"
        about = f"{signed.link.episode} (link of {signed.link.channel})"
        try:
            await asyncio.to_thread(
                self._audit.record, visitor.name or who, visitor.id, action, about
            )
        except (sqlite3.Error, OSError) as error:
            _log.error("action_not_in_audit_log", error=repr(error))

    def _render(self, template: str, status: int = 200, **values: Any) -> Response:
        page = self._render_page(template, status, **values)
        # The address is a secret until it is used.
        page.headers["referrer-policy"] = "no-referrer"
        return page

    async def done(self, request: Request) -> Response:
        is_silence = request.path_params["action"] == "silence"
        return self._render("action_done.html", is_silence=is_silence)

    async def _form(self, token: str, form: ActionForm, status: int) -> Response:
        signed, alert = await asyncio.to_thread(self._actions.read, token)
        values: dict[str, Any] = {
            "alert": alert,
            "action": signed.link.action,
            "until_ms": signed.link.until_ms,
            "form": form,
            "has_name": bool(_session_name()),
            "scopes": silence_scopes(alert),
            "hours": HOURS,
        }
        return self._render("action.html", status, **values)

    def _refused(self, refusal: LinkRefused, typed: str = "") -> Response:
        known = refusal.alert if isinstance(refusal, AlreadyAcknowledged) else None
        return self._render(
            "action_refused.html",
            refusal.status,
            explanation=str(refusal),
            alert=known,
            typed=typed,
        )


async def _read_action(request: Request) -> ActionForm:
    """The form of the page. A person who has signed in acts under that name."""
    fields = await read_form(request)
    try:
        hours = int(fields.get("hours", "2"))
    except ValueError:
        hours = 0
    form = ActionForm(
        who=_session_name() or _one_line(fields.get("who", "")),
        why=_one_line(fields.get("why", "")),
        hours=hours if hours in HOURS else 2,
        scope=fields.get("scope", "alert"),
    )
    errors = {}
    if not form.who:
        errors["who"] = "Enter your name"
    elif len(form.who) > LONGEST_WHO:
        errors["who"] = f"Your name must be {LONGEST_WHO} characters or fewer"
    if len(form.why) > LONGEST_WHY:
        errors["why"] = f"The reason must be {LONGEST_WHY} characters or fewer"
    return msgspec.structs.replace(form, errors=errors)


def _session_name() -> str:
    session = present_request().session
    return _one_line(present_visitor().name) if session is not None else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())

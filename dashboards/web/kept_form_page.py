"""The page of a form that was not done: what was typed, to be sent again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboards.web.page_forms import KeptForm, KeptForms
from dashboards.web.visitor_recognition import present_request, present_visitor
from dashboards.web.visitors import Right
from probes.wire.clock import WallClock

# What people type or choose in forms, as the forms name it. Other fields are sent again
# and not shown.
LABELS: Mapping[str, str] = {
    "who": "Your name",
    "why": "Reason",
    "scope": "What should be silent",
    "hours": "For how many hours",
    "code": "Support code",
    "name": "Name",
}


class KeptFormPage:
    """`show` renders a template with values, and returns the answer."""

    def __init__(self, show: Callable[..., Response], now_ms: WallClock) -> None:
        self._show, self._now_ms, self._kept = show, now_ms, KeptForms()

    def keep(
        self, request: Request, right: Right, fields: Mapping[str, str]
    ) -> Response:
        """Keeps a form that is not of the present session, and leads to its page."""
        reference, _ = self._keep(request, right, fields)
        return RedirectResponse(f"/form/{reference}", 303)

    def give_back(
        self,
        request: Request,
        right: Right,
        fields: Mapping[str, str],
        failure: HTTPException,
    ) -> Response:
        """The answer to a form that could not be done: why, and what was typed."""
        reference, form = self._keep(request, right, fields, failure.detail)
        return self._page(reference, form, failure.status_code)

    async def page(self, request: Request) -> Response:
        reference = request.path_params["reference"]
        browser = present_request().browser
        form = self._kept.find(reference, browser, self._now_ms())
        if form is None:
            raise HTTPException(404, "What was typed is not kept here any more.")
        return self._page(reference, form, 200)

    def _keep(
        self, request: Request, right: Right, fields: Mapping[str, str], why: str = ""
    ) -> tuple[str, KeptForm]:
        browser, now_ms = present_request().browser, self._now_ms()
        return self._kept.keep(
            request.url.path, right, dict(fields), browser, now_ms, why
        )

    def _page(self, reference: str, form: KeptForm, status: int) -> Response:
        typed = [
            (LABELS[name], text)
            for name, text in form.fields.items()
            if name in LABELS and text
        ]
        page = self._show(
            "kept_form.html",
            status,
            form=form,
            typed=typed,
            may=present_visitor().may(form.right),
            sign_in_url=f"/sign-in?next=/form/{reference}",
        )
        # The address that it is sent to may be a secret: the link of a message.
        page.headers["referrer-policy"] = "no-referrer"
        return page

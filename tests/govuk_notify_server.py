"""A server that behaves like GOV.UK Notify's documented API: tokens, templates with
placeholders, references, states and errors."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
import uuid
from typing import Any

from faulty_http import Request

SERVICE = "26785a09-ab16-4eb0-8407-a37497a57506"
SECRET = "3d844edf-8d35-48ac-975b-e847b4f122b0"
API_KEY = f"towpath-live-{SERVICE}-{SECRET}"
EMAIL_TEMPLATE = "f33517ff-2a88-4f6e-b855-c550268ce08a"
SMS_TEMPLATE = "0a8d8f3c-6b1f-4f0e-9a6e-5b7d4bb4e3a1"


class NotifyService:
    """`status`: the state in which every new notification is at once."""

    def __init__(self) -> None:
        self.status = "delivered"
        self.templates = {
            EMAIL_TEMPLATE: ("email", "((subject))", "((text))"),
            SMS_TEMPLATE: ("sms", "", "((subject)) ((short_text))"),
        }
        self.notifications: list[dict[str, Any]] = []
        # Who is refused: by a key for a team only, or for a wrong number.
        self.refused: set[str] = set()

    def __call__(self, request: Request) -> tuple[int, Any]:
        if error := _token_error(request.headers.get("authorization", "")):
            return _error(403, "AuthError", error)
        if request.method == "GET" and request.path == "/v2/notifications":
            found = [
                one
                for one in self.notifications
                if one["reference"] == request.query.get("reference")
            ]
            return 200, {"notifications": found, "links": {"current": request.path}}
        if request.method == "GET":
            id = request.path.rpartition("/")[2]
            for one in self.notifications:
                if one["id"] == id:
                    return 200, one
            return _error(404, "NoResultFound", "No result found")
        return self._send(request.path.rpartition("/")[2], request.json)

    def _send(self, kind: str, body: dict[str, Any]) -> tuple[int, Any]:
        template = self.templates.get(body["template_id"])
        if template is None or template[0] != kind:
            return _error(400, "BadRequestError", "Template not found")
        field = "email_address" if kind == "email" else "phone_number"
        to = body.get(field)
        if to is None:
            return _error(400, "ValidationError", f"{field} is a required property")
        if to in self.refused:
            return _error(
                400,
                "BadRequestError",
                "Can't send to this recipient using a team-only API key",
            )
        texts = body.get("personalisation", {})
        wanted = set(re.findall(r"\(\((\w+)\)\)", template[1] + template[2]))
        if missing := sorted(wanted - set(texts)):
            return _error(
                400,
                "BadRequestError",
                f"Missing personalisation: {', '.join(missing)}",
            )
        subject, content = (
            re.sub(r"\(\((\w+)\)\)", lambda found: texts[found[1]], text)
            for text in template[1:]
        )
        one = {
            "id": str(uuid.uuid4()),
            "reference": body.get("reference"),
            "type": kind,
            "email_address": to if kind == "email" else None,
            "phone_number": to if kind == "sms" else None,
            "status": self.status,
            "subject": subject,
            "body": content,
        }
        self.notifications.append(one)
        shown = {"subject": subject, "body": content}
        return 201, {"id": one["id"], "reference": one["reference"], "content": shown}


def _token_error(header: str) -> str:
    try:
        scheme, _, token = header.partition(" ")
        head, body, mac = token.split(".")
        claims = json.loads(_decode(body))
        kind = json.loads(_decode(head))
    except ValueError:
        return "Invalid token: make sure your API token matches the documentation"
    right = hmac.new(SECRET.encode(), f"{head}.{body}".encode(), hashlib.sha256)
    if scheme != "Bearer" or kind != {"typ": "JWT", "alg": "HS256"}:
        return "Unauthorized: authentication bearer scheme must be used"
    if claims["iss"] != SERVICE or not hmac.compare_digest(
        _decode(mac), right.digest()
    ):
        return "Invalid token: API key not found"
    if abs(claims["iat"] - time.time()) > 30:
        return "Error: Your system clock must be accurate to within 30 seconds"
    return ""


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _error(status: int, error: str, message: str) -> tuple[int, Any]:
    errors = [{"error": error, "message": message}]
    return status, {"status_code": status, "errors": errors}

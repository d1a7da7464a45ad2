"""Servers that behave like products of service desk, as far as Towpath uses them:
their authentication, answers, errors and traps."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

from faulty_http import Request
from service_desk_base import SECRET, Answer, DeskServer, has_basic
from servicenow_server import ServiceNow


class Jira(DeskServer):
    """A new issue is missing in searches until it has been indexed."""

    product = "jira"
    FIELDS: ClassVar = [
        "project",
        "issuetype",
        "summary",
        "description",
        "labels",
        "priority",
        "customfield_10010",
    ]

    def __init__(self) -> None:
        super().__init__()
        self.indexed: set[str] = set()

    def settings(self, place: str) -> dict[str, Any]:
        return {
            "product": self.product,
            "user": "towpath@council.example",
            "password": {"file": place},
            "values": {
                "project": "NET",
                "resolve_transition": "761",
                "reopen_transition": "11",
            },
        }

    def __call__(self, request: Request) -> Answer:
        if not has_basic(request, "towpath@council.example", SECRET):
            return 401, "Client must be authenticated to access this resource."
        path = request.path.removeprefix("/rest/api/2/")
        if path == "search/jql":
            label = re.search(r'labels = "([^"]+)"', request.query["jql"])
            assert label
            return 200, {
                "issues": [
                    one
                    for one in self.tickets
                    if one["id"] in self.indexed and label[1] in one["fields"]["labels"]
                ],
                "isLast": True,
            }
        if path == "issue":
            return self._create(request.json["fields"])
        _, id, *rest = path.split("/")
        issue = next((one for one in self.tickets if one["id"] == id), None)
        if issue is None:
            return 404, {"errorMessages": ["Issue does not exist"], "errors": {}}
        if rest == ["comment"]:
            notes = self.notes.setdefault(id, [])
            if request.method == "POST":
                notes.append(request.json["body"])
                return 201, {"id": str(len(notes))}
            return 200, {"comments": [{"body": note} for note in notes]}
        if rest == ["transitions"]:
            category = {"761": "done", "11": "new"}.get(
                request.json["transition"]["id"]
            )
            if category is None:
                return 400, {"errorMessages": ["Transition id is not valid"]}
            issue["fields"]["status"] = {"statusCategory": {"key": category}}
            return 204, None
        return 200, issue

    def _create(self, fields: dict[str, Any]) -> Answer:
        errors = {
            name: f"Field '{name}' cannot be set. It is not on the appropriate screen, "
            "or unknown."
            for name in fields
            if name not in self.FIELDS
        }
        if fields["priority"]["name"] not in ("Highest", "Medium", "Low"):
            errors["priority"] = "Specify a valid value for priority"
        if fields["project"]["key"] != "NET":
            errors["project"] = "valid project is required"
        if errors:
            return 400, {"errorMessages": [], "errors": errors}
        id = str(10_000 + len(self.tickets))
        status = {"statusCategory": {"key": "new"}}
        self.tickets.append(
            {
                "id": id,
                "key": f"NET-{id}",
                "fields": {**fields, "assignee": None, "status": status},
            }
        )
        self.on_create()
        return 201, {"id": id, "key": f"NET-{id}", "self": "…"}

    def index(self) -> None:
        self.indexed = {one["id"] for one in self.tickets}

    def titles(self) -> list[str]:
        return [one["fields"]["summary"] for one in self.tickets]

    def is_resolved(self) -> bool:
        status = self.tickets[0]["fields"]["status"]
        return bool(status["statusCategory"]["key"] == "done")

    def assign(self) -> None:
        self.tickets[0]["fields"]["assignee"] = {"accountId": "5b10"}

    def start_work(self) -> None:
        status = {"statusCategory": {"key": "indeterminate"}}
        self.tickets[0]["fields"]["status"] = status


class Freshservice(DeskServer):
    product = "freshservice"
    FIELDS: ClassVar = [
        "email",
        "subject",
        "description",
        "status",
        "priority",
        "tags",
        "group_id",
        "custom_fields",
        "workspace_id",
    ]

    def __init__(self) -> None:
        super().__init__()
        self.indexed: set[int] = set()

    def settings(self, place: str) -> dict[str, Any]:
        return {
            "product": self.product,
            "token": {"file": place},
            "values": {"requester": "towpath@council.example"},
        }

    def __call__(self, request: Request) -> Answer:
        if not has_basic(request, SECRET, "X"):
            message = "You have to be logged in to perform this action."
            return 401, {"code": "invalid_credentials", "message": message}
        path = request.path.removeprefix("/api/v2/tickets").strip("/")
        if path == "filter":
            workspace = request.query.get("workspace_id", "2")
            assert workspace.isdecimal()
            tag = re.fullmatch(r'"tag:\'([^\']+)\'"', request.query["query"])
            assert tag
            found = [
                one
                for one in self.tickets
                if one["id"] in self.indexed
                and tag[1] in one["tags"]
                and workspace in ("0", str(one.get("workspace_id", 2)))
            ]
            return 200, {"tickets": found, "total": len(found)}
        if not path:
            return self._create(request.json)
        id, _, rest = path.partition("/")
        ticket = next((one for one in self.tickets if one["id"] == int(id)), None)
        if ticket is None:
            return 404, None
        notes = self.notes.setdefault(id, [])
        if rest == "notes":
            assert request.json["private"] is True
            notes.append(request.json["body"])
            return 201, {"conversation": {"id": len(notes)}}
        if rest == "conversations":
            return 200, {"conversations": [{"body": note} for note in notes]}
        if request.method == "PUT":
            ticket |= request.json
        return 200, {"ticket": ticket}

    def _create(self, body: dict[str, Any]) -> Answer:
        errors = [
            {
                "field": name,
                "message": "Unexpected/invalid field in request",
                "code": "invalid_field",
            }
            for name in body
            if name not in self.FIELDS
        ]
        if body["priority"] not in (1, 2, 3, 4):
            message = "It should be one of these values: '1,2,3,4'"
            errors.append({"field": "priority", "message": message, "code": "value"})
        if errors:
            return 400, {"description": "Validation failed", "errors": errors}
        ticket = {"id": 100 + len(self.tickets), "responder_id": None, **body}
        self.tickets.append(ticket)
        self.on_create()
        return 201, {"ticket": ticket}

    def index(self) -> None:
        self.indexed = {one["id"] for one in self.tickets}

    def titles(self) -> list[str]:
        return [one["subject"] for one in self.tickets]

    def is_resolved(self) -> bool:
        return bool(self.tickets[0]["status"] == 4)

    def assign(self) -> None:
        self.tickets[0]["responder_id"] = 77

    def start_work(self) -> None:
        self.tickets[0]["status"] = 3


class Halo(DeskServer):
    """Its search looks at everything, and finds what only resembles."""

    product = "halo"
    FIELDS: ClassVar = [
        "id",
        "summary",
        "details",
        "tickettype_id",
        "status_id",
        "priority_id",
        "agent_id",
        "team",
        "customfields",
    ]

    def settings(self, place: str) -> dict[str, Any]:
        return {
            "product": self.product,
            "client_id": "towpath",
            "client_secret": {"file": place},
            "values": {"ticket_type": 1},
        }

    def __call__(self, request: Request) -> Answer:
        if request.path == "/auth/token":
            return self._oauth2(request)
        if not self._has_token(request):
            return 401, {"message": "Authorization has been denied for this request."}
        if request.path == "/api/Actions":
            if request.method == "GET":
                notes = self.notes.get(str(request.query["ticket_id"]), [])
                return 200, {"actions": [{"note": note} for note in notes]}
            for action in request.json:
                assert action["hiddenfromuser"] is True
                self.notes.setdefault(str(action["ticket_id"]), []).append(
                    action["note"]
                )
            return 201, request.json[0]
        if request.method == "POST":
            return self._post(request.json)
        if id := request.path.removeprefix("/api/Tickets").strip("/"):
            for ticket in self.tickets:
                if str(ticket["id"]) == id:
                    return 200, ticket
            return 404, {"message": "The ticket was not found"}
        wanted = request.query["search"]
        unlike = [{"id": 1, "summary": "printer", "agent_id": 1, "status_id": 1}]
        found = [one for one in self.tickets if wanted in json.dumps(one)]
        return 200, {"record_count": len(found), "tickets": [*unlike, *found]}

    def _post(self, body: list[dict[str, Any]]) -> Answer:
        [fields] = body
        unknown = sorted(set(fields) - set(self.FIELDS))
        if unknown or fields.get("tickettype_id", 1) != 1:
            what = unknown or "tickettype_id"
            return 400, {"message": f"Invalid value for {what}"}
        for ticket in self.tickets:
            if ticket["id"] == fields.get("id"):
                ticket |= fields
                return 201, ticket
        ticket = {"id": 2000 + len(self.tickets), "agent_id": 1, **fields}
        self.tickets.append(ticket)
        self.on_create()
        return 201, ticket

    def titles(self) -> list[str]:
        return [one["summary"].partition(" [")[0] for one in self.tickets]

    def is_resolved(self) -> bool:
        return bool(self.tickets[0]["status_id"] == 9)

    def assign(self) -> None:
        self.tickets[0]["agent_id"] = 12

    def start_work(self) -> None:
        self.tickets[0]["status_id"] = 2


DESKS: dict[str, type[DeskServer]] = {
    desk.product: desk for desk in (ServiceNow, Jira, Freshservice, Halo)
}

"""Servers that behave like four products of service desk, as far as Towpath uses them:
their authentication, answers, errors and traps."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from faulty_http import Request

SECRET = "s3cret-of-the-desk"
Answer = tuple[int, Any]


class DeskServer:
    """`settings`: those of a channel for it, without `url`. `on_create` is called when
    a ticket has been created and nobody has been told."""

    product = ""

    def __init__(self) -> None:
        self.tickets: list[dict[str, Any]] = []
        self.notes: dict[str, list[str]] = {}
        self.tokens_given = 0
        self.token_valid = True
        self.on_create: Callable[[], None] = lambda: None

    def settings(self, place: str) -> dict[str, Any]:
        raise NotImplementedError

    def __call__(self, request: Request) -> Answer:
        raise NotImplementedError

    def titles(self) -> list[str]:
        raise NotImplementedError

    def is_resolved(self) -> bool:
        raise NotImplementedError

    def assign(self) -> None:
        """A person takes the only ticket."""
        raise NotImplementedError

    def start_work(self) -> None:
        """A person changes its state, without taking it."""
        raise NotImplementedError

    def all_notes(self) -> list[str]:
        return [note for notes in self.notes.values() for note in notes]

    def index(self) -> None:
        """Lets searches find every ticket."""

    def _oauth2(self, request: Request) -> Answer:
        form = {k: v[0] for k, v in parse_qs(request.body.decode()).items()}
        if (form.get("client_id"), form.get("client_secret")) != ("towpath", SECRET):
            return 401, {"error": "invalid_client", "error_description": f"not {form}"}
        self.tokens_given += 1
        self.token_valid = True
        return 200, {"access_token": self._token(), "expires_in": 1800}

    def _token(self) -> str:
        return f"token-{self.tokens_given}-{SECRET}"

    def _has_token(self, request: Request) -> bool:
        right = f"Bearer {self._token()}"
        return self.token_valid and request.headers.get("authorization") == right


def _basic(request: Request, user: str, password: str) -> bool:
    right = base64.b64encode(f"{user}:{password}".encode()).decode()
    return request.headers.get("authorization") == f"Basic {right}"


class ServiceNow(DeskServer):
    """It creates an incident although a field of it does not exist, and a query with a
    field that does not exist finds everything."""

    product = "servicenow"
    FIELDS = [
        "sys_id",
        "number",
        "correlation_id",
        "correlation_display",
        "short_description",
        "description",
        "urgency",
        "impact",
        "state",
        "assigned_to",
        "assignment_group",
        "category",
        "close_code",
        "close_notes",
    ]
    GROUPS = ("Network",)

    def __init__(self) -> None:
        super().__init__()
        other = dict.fromkeys(self.FIELDS, "") | {"sys_id": "0" * 32, "state": "1"}
        self.others = [other | {"number": "INC0000001", "correlation_id": "another"}]

    def settings(self, place: str) -> dict[str, Any]:
        return {
            "product": self.product,
            "user": "towpath",
            "password": {"file": place},
            "fields": {"assignment_group": "Network"},
        }

    def __call__(self, request: Request) -> Answer:
        if not _basic(request, "towpath", SECRET):
            message = "User Not Authenticated"
            detail = "Required to provide Auth information"
            return 401, {"error": {"message": message, "detail": detail}}
        table, _, id = request.path.removeprefix("/api/now/table/").partition("/")
        if table == "sys_journal_field":
            return self._journal(request.query["sysparm_query"])
        if table != "incident":
            error = {"message": "Invalid table " + table, "detail": None}
            return 400, {"error": error, "status": "failure"}
        if request.method == "POST":
            record = dict.fromkeys(self.FIELDS, "") | {"state": "1"}
            self._set(record, request.json)
            number = len(self.tickets) + 10
            record |= {"sys_id": f"{number:032x}", "number": f"INC{number:07}"}
            self.tickets.append(record)
            self.on_create()
            return 201, {"result": record}
        if not id:
            return 200, {"result": self._query(request.query)}
        for record in self.tickets:
            if record["sys_id"] == id:
                if request.method == "PATCH":
                    body = request.json
                    if note := body.pop("work_notes", ""):
                        self.notes.setdefault(id, []).append(note)
                    self._set(record, body)
                return 200, {"result": record}
        return 404, {"error": {"message": "No Record found", "detail": "ACL"}}

    def _set(self, record: dict[str, Any], body: dict[str, Any]) -> None:
        for name, value in body.items():
            if name == "assignment_group" and value not in self.GROUPS:
                value = ""
            if name in self.FIELDS:
                record[name] = value

    def _query(self, query: dict[str, str]) -> list[dict[str, Any]]:
        records = [*self.others, *self.tickets]
        for term in query["sysparm_query"].split("^"):
            name, equals, value = term.partition("=")
            if equals and name in self.FIELDS:
                records = [one for one in records if one[name] == value]
        return records[: int(query["sysparm_limit"])]

    def _journal(self, query: str) -> Answer:
        found = re.fullmatch(
            r"element_id=(\w+)\^element=work_notes\^valueLIKE(.+)", query
        )
        assert found
        notes = self.notes.get(found[1], [])
        return 200, {"result": [{"value": n} for n in notes if found[2] in n]}

    def titles(self) -> list[str]:
        return [one["short_description"] for one in self.tickets]

    def is_resolved(self) -> bool:
        return bool(self.tickets[0]["state"] == "6" and self.tickets[0]["close_notes"])

    def assign(self) -> None:
        self.tickets[0]["assigned_to"] = "5137153cc611227c000bbd1bd8cd2007"

    def start_work(self) -> None:
        self.tickets[0]["state"] = "2"


class Jira(DeskServer):
    """A new issue is missing in searches until it has been indexed."""

    product = "jira_service_management"
    FIELDS = [
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
            "values": {"project": "NET", "resolve_transition": "761"},
        }

    def __call__(self, request: Request) -> Answer:
        if not _basic(request, "towpath@council.example", SECRET):
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
            if request.json["transition"]["id"] != "761":
                return 400, {"errorMessages": ["Transition id is not valid"]}
            issue["fields"]["status"] = {"statusCategory": {"key": "done"}}
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
    FIELDS = [
        "email",
        "subject",
        "description",
        "status",
        "priority",
        "tags",
        "group_id",
        "custom_fields",
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
        if not _basic(request, SECRET, "X"):
            message = "You have to be logged in to perform this action."
            return 401, {"code": "invalid_credentials", "message": message}
        path = request.path.removeprefix("/api/v2/tickets").strip("/")
        if path == "filter":
            tag = re.fullmatch(r'"tag:\'([^\']+)\'"', request.query["query"])
            assert tag
            found = [
                one
                for one in self.tickets
                if one["id"] in self.indexed and tag[1] in one["tags"]
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
    FIELDS = [
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

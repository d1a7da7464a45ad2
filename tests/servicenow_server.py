"""A server that behaves like ServiceNow's Table API, with its traps."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from faulty_http import Request
from service_desk_base import SECRET, Answer, DeskServer, has_basic


class ServiceNow(DeskServer):
    """It creates an incident although a field of it does not exist, and a query with a
    field that does not exist finds everything."""

    product = "servicenow"
    FIELDS: ClassVar = [
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
        if not has_basic(request, "towpath", SECRET):
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

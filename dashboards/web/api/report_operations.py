"""Operations of the API on reports: the files that the page of reports lists."""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec

from dashboards.web.api.api_paging import Paged
from dashboards.web.api.api_problem import no_such
from dashboards.web.api.api_route import ApiCall, ApiRoute, RawAnswer, get_route
from dashboards.web.api.estate_documents import utc_time
from dashboards.web.report_folder import ReportFolder
from dashboards.web.security_headers import REPORT
from dashboards.web.visitors import Right


class ReportDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A report; `GET /reports/{name}` has its file."""

    name: str
    kind: str
    size_bytes: int
    made_at: datetime


class ReportOperations:
    def __init__(self, folder: ReportFolder) -> None:
        self._folder = folder

    @property
    def routes(self) -> list[ApiRoute]:
        see = Right.SEE_REPORTS
        return [
            get_route(
                "/reports",
                "list_reports",
                "Reports that were made",
                see,
                self.reports,
                ReportDocument,
                query=Paged,
                order=lambda report: (-report.made_at.timestamp(), report.name),
            ),
            get_route(
                "/reports/{report}",
                "get_report",
                "The file of a report: HTML, CSV, PDF …",
                see,
                self.report,
                None,
                media_type="*/*",
            ),
        ]

    async def reports(self, call: ApiCall) -> list[ReportDocument]:
        return [
            ReportDocument(
                name=file.name,
                kind=file.kind,
                size_bytes=file.bytes,
                made_at=utc_time(file.made_ms),
            )
            for file in await asyncio.to_thread(self._folder.list_files)
        ]

    async def report(self, call: ApiCall) -> RawAnswer:
        name = call.path["report"]
        report = await asyncio.to_thread(self._folder.read, name)
        if report is None:
            raise no_such("report", name)
        body, media_type = report
        policy = {"Content-Security-Policy": REPORT["content-security-policy"]}
        return RawAnswer(body, media_type, policy)

"""/archive: a ledger at a glance, in the browser, also while a scan writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from unmask.archive import read_ledger
from unmask.archive.overview import overview_page, policy
from unmask.archive.queries import Filter
from unmask.errors import LedgerError
from unmask.server.errors import ProblemError
from unmask.server.routes.reports import POLICY

PAGE_NAME = re.compile(r"[^/\\\0]+-[0-9a-f]{8}\.html")
"""How reports are called."""


def archive(ledger: Path, reports: Path | None) -> APIRouter:
    """Routes to one ledger, and to the pages in its folder of reports; both are only read."""
    api = APIRouter()

    def report_of(row: Mapping[str, Any]) -> str | None:
        if reports is None or row["sha256"] is None:
            return None
        name = f"{Path(row['path']).name}-{row['sha256'][:8]}.html"
        return f"/archive/reports/{name}" if (reports / name).is_file() else None

    def page() -> str:
        with closing(read_ledger(ledger)) as database:
            return overview_page(
                database,
                str(ledger),
                Filter(),
                file_link=lambda _: None,  # files of the server's disk are not served
                report_link=report_of,
                reports="DIR" if reports is None else str(reports),
            )[0]

    @api.get(
        "/archive",
        operation_id="get_archive",
        summary="The ledger that the server was started with, as a page",
        response_class=Response,
        responses={200: {"content": {"text/html": {}}, "description": "The page"}},
    )
    async def overview(request: Request) -> Response:
        """As `unmask ledger export` writes it, at this moment."""
        try:
            text = await to_thread.run_sync(page, limiter=request.app.state.drawing)
        except LedgerError as error:
            raise ProblemError(503, "no_ledger", str(error)) from error
        body = text.encode("utf-8", "backslashreplace")
        headers = {"content-security-policy": f"{policy()}; frame-ancestors 'none'"}
        return Response(body, headers=headers, media_type="text/html; charset=utf-8")

    @api.get(
        "/archive/reports/{name}",
        operation_id="get_archive_report",
        summary="A report that lies beside the ledger",
        response_class=Response,
        responses={200: {"content": {"text/html": {}}, "description": "The page"}},
    )
    async def report(name: str) -> Response:
        """Only pages that unmask has written there have such names."""
        if reports is None or not PAGE_NAME.fullmatch(name) or not (reports / name).is_file():
            raise ProblemError(404, "unknown_report", "there is no such report")
        body = await to_thread.run_sync((reports / name).read_bytes)
        headers = {"content-security-policy": POLICY}
        return Response(body, headers=headers, media_type="text/html; charset=utf-8")

    return api

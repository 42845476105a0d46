"""/v1/scans/{id}/report.*: the result as files, and the view that pages are made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Form, Path, Request, Response

from unmask.report.case import LONGEST_NAME, LONGEST_NOTES, Case, with_case
from unmask.report.files import complete
from unmask.report.json import with_prevalence
from unmask.report.language import speaking
from unmask.report.render import html, pdf, unpack
from unmask.report.why import at_share
from unmask.server.errors import ProblemError
from unmask.server.jobs import Scan
from unmask.server.routes.dependencies import UNKNOWN, Finished, Reader, Responses, problem

POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
)


@dataclass(frozen=True, slots=True)
class Own:
    """What only the reader of a report knows.

    - case: his words
    - prevalence: the share of fakes in what he checks, 0–1, or None
    """

    case: Case | None = None
    prevalence: float | None = None


NOTHING = Own()

Kind = Literal["html", "pdf", "json"]
"""Forms of a report."""

router = APIRouter()


def _gives(kind: str) -> Responses:
    return {
        **UNKNOWN,
        200: {"content": {kind: {}}, "description": "The report"},
        409: problem("There is no result (yet)"),
    }


@router.get(
    "/v1/scans/{scan_id}/report.json",
    operation_id="get_report_json",
    summary="The report, as `unmask scan --report` writes it",
    responses=_gives("application/json"),
)
async def report_json(request: Request, scan: Finished, language: Reader) -> Response:
    """Signed, if the server has a key."""
    return await _rendered(request, scan, language, "json")


@router.get(
    "/v1/scans/{scan_id}/report.html",
    operation_id="get_report_html",
    summary="The report as a page",
    response_class=Response,
    responses=_gives("text/html"),
)
async def report_html(request: Request, scan: Finished, language: Reader) -> Response:
    """Complete in itself: it can be stored and passed on.

    Ask for the scan with `explain` to have pictures in it.
    """
    return await _rendered(request, scan, language, "html")


@router.get(
    "/v1/scans/{scan_id}/report.pdf",
    operation_id="get_report_pdf",
    summary="The report as a PDF",
    response_class=Response,
    responses=_gives("application/pdf"),
)
async def report_pdf(request: Request, scan: Finished, language: Reader) -> Response:
    """PDF/UA-1, for screen readers."""
    return await _rendered(request, scan, language, "pdf")


@router.post(
    "/v1/scans/{scan_id}/report",
    operation_id="make_report",
    summary="A report with your own words, and your share of fakes",
    response_class=Response,
    responses={**_gives("text/html"), 413: problem("Longer notes than a report takes")},
)
async def report_with_notes(
    request: Request,
    scan: Finished,
    language: Reader,
    kind: Annotated[Kind, Form(description="Which form of the report")],
    case_name: Annotated[str, Form(max_length=LONGEST_NAME, description="Name of your case")] = "",
    notes: Annotated[
        str, Form(max_length=LONGEST_NOTES, description="Your own words, in lines")
    ] = "",
    prevalence: Annotated[
        float | None, Form(gt=0, lt=1, description="Prior share of fakes in your material")
    ] = None,
) -> Response:
    """As the reports above, with what only you know. Nothing of it is kept."""
    own = Own(Case(case_name, notes), prevalence)
    return await _rendered(request, scan, language, kind, own)


@router.get(
    "/v1/scans/{scan_id}/view",
    operation_id="get_view",
    summary="The report in words, with the names of its pictures",
    responses=_gives("application/json"),
)
async def view(scan: Finished, language: Reader) -> Response:
    """What the page and the PDF are made of: for other pages."""
    return Response(scan.parts[f"view/{language}"], media_type="application/json")


@router.get(
    "/v1/scans/{scan_id}/pictures/{name}",
    operation_id="get_picture",
    summary="A picture of the report",
    response_class=Response,
    responses=_gives("image/*"),
)
async def picture(scan: Finished, name: Annotated[str, Path(max_length=100)]) -> Response:
    """Pictures are named in the view."""
    data = scan.parts.get(f"picture/{name}")
    if data is None:
        raise ProblemError(404, "unknown_picture", "the report has no such picture")
    kind = name.rsplit(".", 1)[-1]
    return Response(data, media_type="image/svg+xml" if kind == "svg" else f"image/{kind}")


async def _rendered(
    request: Request, scan: Scan, language: str, kind: Kind, own: Own = NOTHING
) -> Response:
    """The report in one of its forms; pages and PDFs are drawn in a thread."""
    tree = json.loads(scan.parts["report"])
    if own.prevalence is not None:
        tree = with_prevalence(tree, own.prevalence)
    if kind == "json":
        view = with_case(json.loads(scan.parts[f"view/{language}"]), own.case)
        body = complete(tree, view, request.app.state.signing_key)
        return Response(body, media_type="application/json")
    draw, media_type = (
        (html, "text/html; charset=utf-8") if kind == "html" else (pdf, "application/pdf")
    )
    view = with_case(_whole_view(scan, language), own.case)
    if own.prevalence is not None:
        with speaking(language):
            known = at_share(tree["verdict"]["probability_fake"], own.prevalence)
        view["prevalence"] = known
    body = await to_thread.run_sync(draw, view, limiter=request.app.state.drawing)
    headers = {"content-security-policy": POLICY} if kind == "html" else {}
    return Response(body, headers=headers, media_type=media_type)


def _whole_view(scan: Scan, language: str) -> dict[str, Any]:
    """The view with its pictures put back."""
    pictures = {
        name.removeprefix("picture/"): data
        for name, data in scan.parts.items()
        if name.startswith("picture/")
    }
    return unpack(json.loads(scan.parts[f"view/{language}"]), pictures)

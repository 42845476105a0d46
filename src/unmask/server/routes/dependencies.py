"""What the routes share."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fastapi import Depends, Header, Path, Query, Request

from unmask.report.language import LANGUAGES, best_of
from unmask.server.errors import ProblemError
from unmask.server.jobs import Scan, ScanJobs, Status
from unmask.server.schema import ProblemShape

Responses = dict[int | str, dict[str, Any]]


def problem(words: str) -> dict[str, Any]:
    """An entry of OpenAPI's responses.

    By reference: FastAPI would give it the media type of the route's answers.
    """
    schema = {"$ref": f"#/components/schemas/{ProblemShape.__name__}"}
    return {"description": words, "content": {"application/json": {"schema": schema}}}


COMMON: Responses = {
    400: problem("The request cannot be understood"),
    401: problem("A valid API key is needed"),
    421: problem("The server does not answer to this host name"),
    422: problem("Invalid parameter"),
}
UNKNOWN: Responses = {404: problem("No such scan: it never existed, was deleted, or has expired")}


def jobs_of(request: Request) -> ScanJobs:
    """The scan jobs of this application."""
    jobs: ScanJobs = request.app.state.jobs
    return jobs


Jobs: TypeAlias = Annotated[ScanJobs, Depends(jobs_of)]


def _found(
    jobs: Jobs,
    scan_id: Annotated[str, Path(description="The id that POST returned", max_length=64)],
) -> Scan:
    scan = jobs.find(scan_id)
    if scan is None:
        raise ProblemError(
            404, "unknown_scan", "no such scan: it never existed, was deleted, or has expired"
        )
    return scan


Found: TypeAlias = Annotated[Scan, Depends(_found)]


def _finished(scan: Found) -> Scan:
    if scan.status is not Status.DONE:
        raise ProblemError(409, "no_result", f"this scan has no result: it is {scan.status}")
    return scan


Finished: TypeAlias = Annotated[Scan, Depends(_finished)]


def _reader(
    language: Annotated[
        str | None, Query(description=f"Of the words: {', '.join(LANGUAGES)}", max_length=10)
    ] = None,
    accept_language: Annotated[
        str | None, Header(description="Where `language` is not given: the reader's wishes")
    ] = None,
) -> str:
    if language is not None and language not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise ProblemError(422, "unknown_language", f"the languages are {known}")
    return language or best_of(accept_language)


Reader: TypeAlias = Annotated[str, Depends(_reader)]
"""The language that an answer is written in."""

"""/v1/scans: start a scan, follow it, delete it."""

import asyncio
import tempfile
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, File, Form, Header, Request, Response, UploadFile
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from unmask._internal.text import on_one_line
from unmask.detector.sampling import MOST_LOOKS
from unmask.errors import MediaError
from unmask.media.links import LinkLimits, fetch
from unmask.server.errors import ProblemError
from unmask.server.jobs import Scan, ScanJobs
from unmask.server.limits import Limits
from unmask.server.requests import ScanRequest
from unmask.server.routes.dependencies import UNKNOWN, Found, Jobs, problem
from unmask.server.schema import ProblemShape, ScanShape
from unmask.server.uploads import Upload
from unmask.types import Fetched, Settings

STATUS_OF = {"unknown_format": 415, "too_large": 413, "stopping": 503}
"""Of what went wrong; all other faults of a file are 422."""

NAME_LENGTH = 200

FIELDS = frozenset(
    {"file", "url", "model", "frames", "explain", "stability", "prevalence", "callback"}
)
"""Of the form."""

router = APIRouter()


def judging(limits: Limits, models: Sequence[str]) -> APIRouter:
    """POST /v1/scans with these limits and models."""
    api = APIRouter()
    # where fewer frames are allowed than a long video gets, all videos get the same
    usual = None if limits.frames >= MOST_LOOKS else min(Settings().frames, limits.frames)

    @api.post(
        "/v1/scans",
        operation_id="start_scan",
        summary="Judge a picture or a video",
        response_model=ScanShape,
        responses={
            200: {"description": "Judged; the answer to small files"},
            202: {
                "model": ScanShape,
                "description": "Accepted; poll the address in Location",
            },
            403: {"model": ProblemShape, "description": "Request from a page of another site"},
            408: problem("The upload is too slow"),
            413: problem("Too many bytes, or too many pixels"),
            415: problem("Neither a picture nor a video"),
            422: problem("A problem with the file, or with an option"),
            429: problem("Too many files of this client are waiting; see Retry-After"),
            503: problem("Too many files are waiting, or the server is stopping; see Retry-After"),
        },
    )
    async def judge(
        request: Request,
        jobs: Jobs,
        file: Annotated[UploadFile | None, File(description="A picture or a video")] = None,
        url: Annotated[
            str | None,
            Form(
                max_length=4000,
                description="Instead of a file: a link to one, where the server follows links",
            ),
        ] = None,
        model: Annotated[str, Form(description=f"One of: {', '.join(models)}")] = models[0],
        frames: Annotated[
            int | None,
            Form(
                ge=1,
                le=limits.frames,
                description="Frames to check per video; without it 32, and more in long videos",
            ),
        ] = usual,
        explain: Annotated[
            bool, Form(description="Heat maps, and pictures of faces for the report")
        ] = False,
        stability: Annotated[bool, Form(description="Re-check with perturbed pictures")] = True,
        prevalence: Annotated[
            float | None, Form(gt=0, lt=1, description="Prior share of fakes in your material")
        ] = None,
        callback: Annotated[
            str | None,
            Form(
                max_length=2000,
                description="Address that is told of the end by a signed POST, where the server"
                " has webhooks",
            ),
        ] = None,
        prefer: Annotated[
            str | None, Header(description="`respond-async`: be answered 202 at once")
        ] = None,
    ) -> Response:
        if model not in models:
            raise ProblemError(
                422,
                "unknown_model",
                f"there is no model of that name; there are {', '.join(models)}",
            )
        await _require_one_file(request)
        if callback is not None and jobs.webhooks is None:
            raise ProblemError(
                422, "no_webhooks", "this server sends no webhooks: ask for the scan"
            )
        if file is not None:
            upload = await run_in_threadpool(Upload, file.file, file.size or 0)
            name, fetched = base_name(file.filename), None
        else:
            upload, name, fetched = await _fetched(request, str(url), limits)
        scan_request = ScanRequest(
            path=upload.path,
            name=name,
            model=model,
            frames=frames,
            explain=explain,
            stability=stability,
            prevalence=prevalence,
            fetched=fetched,
        )
        scan = jobs.submit(request.scope["state"]["slot"], upload, scan_request, callback)
        here = {"location": f"/v1/scans/{scan.id}"}
        if (
            upload.size > limits.answer_bytes
            or wants_no_answer(prefer)
            or not await _answered(request, jobs, scan)
        ):
            return Response(
                jobs.describe(scan), 202, {**here, "retry-after": "1"}, "application/json"
            )
        if scan.error is not None:
            jobs.discard(scan)
            kind = scan.error["kind"]
            raise ProblemError(STATUS_OF.get(kind, 422), kind, scan.error["message"])
        return Response(jobs.describe(scan), 200, here, "application/json")

    return api


@router.get(
    "/v1/scans/{scan_id}",
    operation_id="get_scan",
    summary="Get the state of a scan, and its result",
    response_model=ScanShape,
    responses=UNKNOWN,
)
async def show(scan: Found, jobs: Jobs) -> Response:
    """The report is included once the status is `done`."""
    return Response(jobs.describe(scan), media_type="application/json")


@router.delete(
    "/v1/scans/{scan_id}",
    operation_id="delete_scan",
    summary="Stop a scan and delete everything about it",
    status_code=204,
    responses=UNKNOWN,
)
async def forget(scan: Found, jobs: Jobs) -> None:
    """Nothing of the file or the result is kept."""
    jobs.discard(scan)


@router.get(
    "/v1/scans/{scan_id}/events",
    operation_id="follow_scan",
    summary="Progress, as server-sent events",
    response_class=EventSourceResponse,
    responses=UNKNOWN,
)
async def events(scan: Found, jobs: Jobs) -> AsyncIterable[ServerSentEvent]:
    """Progress as events.

    `progress`: where it stands; `scores`: time and probability of the faces judged so far, in the
    order in which they were judged; `waiting`: nothing new; `end`: the status, and the error if
    there is one.

    Reconnecting replays all events.
    """
    async for name, words in jobs.follow(scan):
        yield ServerSentEvent(event=name, data=words)


async def _require_one_file(request: Request) -> None:
    """Of several, only the last would be looked at; an unknown option would be ignored."""
    form = await request.form()
    if unknown := sorted(form.keys() - FIELDS):
        given, known = (", ".join(map(on_one_line, names)) for names in (unknown, sorted(FIELDS)))
        message = f"unknown fields: {given}; there are {known}"
        raise ProblemError(422, "invalid_request", message)
    files = len(form.getlist("file")) + len(form.getlist("url"))
    if files != 1:
        what = "has none" if not files else "has several: send each by itself"
        message = f"one request is for one file or link, but this one {what}"
        raise ProblemError(422, "invalid_request", message)


async def _fetched(
    request: Request, url: str, limits: Limits
) -> tuple[Upload, str, Mapping[str, str]]:
    """What lies at a public address; its name; and where it was found."""
    if not limits.links:
        message = "this server does not follow links; send the file itself"
        raise ProblemError(422, "no_links", message)
    rules = LinkLimits(limits.upload_bytes, limits.link_s, public_only=True)

    def fetch_it() -> tuple[Upload, str, Fetched]:
        with tempfile.TemporaryFile() as file:
            name, fetched = fetch(url, file, rules)
            return Upload(file, file.tell()), name, fetched

    try:
        upload, name, fetched = await to_thread.run_sync(
            fetch_it, limiter=request.app.state.fetching
        )
    except MediaError as error:
        raise ProblemError(422, error.kind, str(error)) from error
    return upload, base_name(name), asdict(fetched)


def base_name(sent: str | None) -> str:
    """The name of a file without folders, as it can be shown."""
    name = on_one_line((sent or "").replace("\\", "/").rsplit("/", 1)[-1]).strip()
    return name[-NAME_LENGTH:] or "unnamed"


def wants_no_answer(prefer: str | None) -> bool:
    """RFC 7240, section 4.1."""
    return any(part.strip().lower() == "respond-async" for part in (prefer or "").split(","))


async def _answered(request: Request, jobs: ScanJobs, scan: Scan) -> bool:
    """Whether the scan ends in time; it is dropped if the client leaves."""
    gone = asyncio.create_task(_left(request))
    over = asyncio.create_task(jobs.wait(scan, jobs.limits.answer_s))
    await asyncio.wait({gone, over}, return_when=asyncio.FIRST_COMPLETED)
    if gone.done() and not scan.over:
        jobs.discard(scan)
    gone.cancel()
    over.cancel()
    return scan.over


async def _left(request: Request) -> None:
    """Returns once the client has disconnected."""
    while (await request.receive())["type"] != "http.disconnect":
        pass

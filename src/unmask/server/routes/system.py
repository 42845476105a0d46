"""Routes about the server itself: models, limits, health, metrics."""

from __future__ import annotations

import json

from fastapi import APIRouter, Response

import unmask
from unmask.report.palette import stylesheet
from unmask.server.errors import ProblemError
from unmask.server.routes.dependencies import Jobs, problem
from unmask.server.schema import LimitsShape, ModelsShape, StateShape

router = APIRouter()


@router.get("/palette.css", include_in_schema=False)
async def palette() -> Response:
    """The colours of the page: the project's one palette."""
    return Response(stylesheet(), media_type="text/css")


@router.get(
    "/v1/models",
    operation_id="list_models",
    summary="List the models, with their cards",
    response_model=ModelsShape,
)
async def models(jobs: Jobs) -> Response:
    """The first is the default."""
    known = [{"name": name, **known} for name, known in jobs.pool.models.items()]
    return Response(json.dumps({"models": known}), media_type="application/json")


@router.get("/v1/limits", operation_id="get_limits", summary="Limits for uploads")
async def limits(jobs: Jobs) -> LimitsShape:
    """So that clients can check before they upload."""
    names = LimitsShape.model_fields.keys() - {"version"}
    return LimitsShape(
        version=unmask.__version__, **{name: getattr(jobs.limits, name) for name in names}
    )


@router.get("/healthz", operation_id="is_alive", summary="Is the server running?")
async def healthy() -> StateShape:
    """Answers whenever the server runs."""
    return StateShape(status="ok")


@router.get(
    "/readyz",
    operation_id="is_ready",
    summary="Can it judge files now?",
    responses={503: problem("Not at the moment")},
)
async def ready(jobs: Jobs) -> StateShape:
    """Yes, if at least one worker runs and the server is not being stopped."""
    if jobs.closing or not jobs.pool.alive:
        why = "the server is stopping" if jobs.closing else "no worker is running"
        raise ProblemError(503, "not_ready", why, {"retry-after": "2"})
    return StateShape(status="ok")


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "In its text format"}},
)
async def metrics(jobs: Jobs) -> Response:
    """Counts and times; nothing about any file or client."""
    return Response(jobs.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

"""What the server says of itself."""

from __future__ import annotations

import json

from fastapi import APIRouter, Response

import unmask
from unmask.server.errors import ProblemError
from unmask.server.routes.dependencies import Jobs, problem
from unmask.server.schema import LimitsShape, ModelsShape, StateShape

router = APIRouter()


@router.get(
    "/v1/models",
    summary="The models that can be asked for, with their cards",
    response_model=ModelsShape,
)
async def models(jobs: Jobs) -> Response:
    """The first is the default."""
    known = [{"name": name, **known} for name, known in jobs.pool.models.items()]
    return Response(json.dumps({"models": known}), media_type="application/json")


@router.get("/v1/limits", summary="What one file may be")
async def limits(jobs: Jobs) -> LimitsShape:
    """For clients that would rather not be refused."""
    names = LimitsShape.model_fields.keys() - {"version"}
    return LimitsShape(
        version=unmask.__version__, **{name: getattr(jobs.limits, name) for name in names}
    )


@router.get("/healthz", summary="Whether the server lives")
async def healthy() -> StateShape:
    """It does if this is answered."""
    return StateShape(status="ok")


@router.get(
    "/readyz", summary="Whether it can judge", responses={503: problem("It cannot, for now")}
)
async def ready(jobs: Jobs) -> StateShape:
    """At least one worker is alive, and the server is not being stopped."""
    if jobs.closing or not jobs.pool.alive:
        why = "the server is stopping" if jobs.closing else "no worker is alive"
        raise ProblemError(503, "not_ready", why, {"retry-after": "2"})
    return StateShape(status="ok")


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "In its text format"}},
)
async def metrics(jobs: Jobs) -> Response:
    """Counts and times; nothing of any file or client."""
    return Response(jobs.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

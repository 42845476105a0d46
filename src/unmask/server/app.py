"""The application put together, and served."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any

import uvicorn
from anyio import CapacityLimiter
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

import unmask
from unmask.errors import ServerError
from unmask.server.errors import ProblemError
from unmask.server.jobs import ScanJobs
from unmask.server.limits import Limits
from unmask.server.metrics import Metrics
from unmask.server.middleware import Access, GuardMiddleware, SlowClientProtocol
from unmask.server.requests import WorkerConfig
from unmask.server.routes import reports as report_routes
from unmask.server.routes import scans, system
from unmask.server.routes.archive import archive
from unmask.server.routes.dependencies import COMMON
from unmask.server.webhooks import Webhooks
from unmask.server.workers import WorkerPool

CONNECTIONS = 1000
"""Connections at the same time; more are answered 503."""

DRAWING = 2
"""Reports rendered at the same time; the processor is for the workers."""

FETCHING = 4
"""Links followed at the same time."""

STOP_S = 30
"""Seconds for requests in progress when the server is stopped."""

ABOUT = """Tells whether a face in a picture or a video was faked, and shows the evidence.

Nothing is kept: uploads are deleted as soon as they have been checked, results after a while or
when they are deleted."""


def create_app(
    models: Mapping[str, str] | None = None,
    *,
    workers: int,
    limits: Limits | None = None,
    access: Access | None = None,
    faces: str = "yunet",
    engine: str = "onnxruntime",
    device: str = "cpu",
    signing_key: Any = None,
    ledger: Path | None = None,
    reports: Path | None = None,
    webhooks: Webhooks | None = None,
) -> FastAPI:
    """The web app and the API.

    - models: bundles (a shipped one's name or a file) by the names that requests use, the first the
      default
    - workers: processes that judge
    - device: where the bundles run, as `load_detector` takes it
    - signing_key: Ed25519, signs the JSON reports
    - ledger: an archive that is shown at /archive; reports: the folder with its reports
    - webhooks: tell addresses that requests name

    Its lifespan starts the workers, and raises UnmaskError where they cannot load the models.
    """
    models = models or {"default": "default"}
    limits, access = limits or Limits(), access or Access()
    config = WorkerConfig(
        models=dict(models),
        faces=faces,
        engine=engine,
        device=device,
        max_pixels=limits.pixels,
        max_duration_s=limits.duration_s,
        time_s=limits.time_s,
        memory_bytes=limits.memory_bytes,
    )
    metrics = Metrics()
    jobs = ScanJobs(WorkerPool(workers, config), limits, metrics, webhooks)
    metrics.gauge("unmask_waiting", "Files waiting for a worker", lambda: jobs.pool.waiting)
    metrics.gauge("unmask_open", "Files being uploaded, waiting or being judged", lambda: jobs.open)
    metrics.gauge("unmask_workers", "Workers running", lambda: jobs.pool.alive)
    metrics.gauge(
        "unmask_worker_restarts", "Workers that were restarted", lambda: jobs.pool.restarts
    )
    metrics.gauge("unmask_held_bytes", "Bytes of uploads held", lambda: jobs.held_bytes)
    metrics.gauge("unmask_kept_bytes", "Bytes of results kept", lambda: jobs.kept_bytes)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await jobs.pool.start()
        try:
            yield
        finally:
            jobs.closing = True
            await jobs.pool.stop()

    app = FastAPI(
        title="unmask",
        version=unmask.__version__,
        description=ABOUT,
        license_info={"name": "MIT", "identifier": "MIT"},
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from other hosts
        redoc_url=None,
    )
    app.state.jobs = jobs
    app.state.signing_key = signing_key
    app.state.drawing = CapacityLimiter(DRAWING)
    app.state.fetching = CapacityLimiter(FETCHING)
    routers = [
        scans.judging(limits, list(models)),
        scans.router,
        report_routes.router,
        system.router,
    ]
    if ledger is not None:
        routers.append(archive(ledger, reports))
    for router in routers:
        app.include_router(router, responses=COMMON)
    app.add_exception_handler(HTTPException, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.mount("/", StaticFiles(directory=str(files("unmask.server") / "page"), html=True))
    app.add_middleware(GuardMiddleware, access=access, limits=limits, jobs=jobs)
    if access.origins:  # around the guard, for its answers too
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(access.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "x-api-key", "prefer"],
            expose_headers=["location", "retry-after", "x-request-id"],
        )
    return app


def bind(host: str, port: int) -> socket.socket:
    """A socket that is held from now on; port 0: any that is free.

    Raises ServerError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ServerError(
            f"cannot listen on {host}, port {port}: {why}; choose another by --port"
        ) from error


def serve(
    app: FastAPI, listening: socket.socket, limits: Limits, ready: Callable[[], None]
) -> None:
    """Serve until stopped by SIGINT or SIGTERM.

    - ready: is called once the first request would be answered

    Raises UnmaskError where the workers cannot load the models.
    """
    config = uvicorn.Config(
        app,
        http=type("Line", (SlowClientProtocol,), {"limits": limits}),
        ws="none",
        lifespan="off",  # entered below, for its errors to come through
        log_config=None,
        access_log=False,  # it would write addresses
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=STOP_S,
        h11_max_incomplete_event_size=32_768,
    )
    signals: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn hands them on when it has stopped
        signal.signal(number, lambda given, _: signals.append(given))

    async def run() -> None:
        async with app.router.lifespan_context(app):
            if signals:  # while the workers started
                return
            server = _Server(config, app.state.jobs, ready)
            await server.serve(sockets=[listening])

    asyncio.run(run())


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, jobs: ScanJobs, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._jobs, self._ready = jobs, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._jobs.closing = True
        await super().shutdown(sockets)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if not isinstance(error, ProblemError):
        kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        error = ProblemError(error.status_code, kind, str(error.detail), error.headers)
    request.app.state.jobs.metrics.refused.labels(error.kind).inc()
    return Response(error.body, error.status_code, error.headers, "application/json")


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [
        f"{'.'.join(str(part) for part in fault['loc'][1:])}: {fault['msg']}"
        for fault in error.errors()
    ]
    return await _problem(request, ProblemError(422, "invalid_request", "; ".join(faults)))

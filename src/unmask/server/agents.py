"""The tools of `unmask mcp`: an agent asks about files, and is answered with evidence and limits.

The Model Context Protocol, by its official SDK. Files are judged in the server's worker processes,
within the server's bounds, and only those that lie in folders the user named.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Image
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field
from typing_extensions import TypedDict

import unmask
from unmask._internal.ipc import Message
from unmask._internal.text import on_one_line
from unmask.errors import MediaError
from unmask.media.links import LinkLimits, fetch
from unmask.server.limits import Limits
from unmask.server.requests import ScanRequest, WorkerConfig
from unmask.server.workers import Job, WorkerPool

INSTRUCTIONS = """\
unmask tells whether faces in a picture or a video were faked. It is a screening aid, not proof.
When you pass a result on: say "inconclusive" where it is, never turn it into "real" or "fake"; give
the reasons and what was not covered; never name a person a forger or a file genuine on its word
alone. "real" means that no sign of manipulation was found. probability_fake is calibrated for as
many real faces as fakes."""

MODEL = "default"
"""The name by which workers know the one model there is here."""

MOST_PICTURES = 6
"""Pictures of one answer of `explain`."""

FileGiven = Annotated[
    str,
    Field(description="A path in the folders that may be read, or a link where links are allowed"),
]
FramesGiven = Annotated[
    int | None,
    Field(description="Frames of a video to look at; without it 32, and more in long videos"),
]

Tell = Callable[[Mapping[str, Any]], Awaitable[None]]


class PersonFound(TypedDict):
    """One human being in the file."""

    person: int
    verdict: str
    probability_fake: float | None
    reasons: list[str]


class Found(TypedDict):
    """What `scan` answers.

    verdict: fake, real, inconclusive or not_applicable (no face that could be judged).
    """

    file: str
    verdict: str
    probability_fake: float | None
    headline: str
    why: list[str]
    not_covered: str
    people: list[PersonFound]
    summary: str
    sha256: str
    model: str


class FileScans:
    """Judges files of some folders, and links where they are allowed, one answer a file."""

    def __init__(self, pool: WorkerPool, folders: Sequence[Path], limits: Limits) -> None:
        self._pool, self._limits = pool, limits
        self._folders = [folder.resolve() for folder in folders]

    async def judge(
        self, file: str, frames: int | None, tell: Tell, *, explain: bool
    ) -> Mapping[str, bytes]:
        """The parts of the result, as a worker sends them.

        Raises ToolError, in words for whoever asked.
        """
        if frames is not None and not 1 <= frames <= self._limits.frames:
            raise ToolError(f"frames must be 1 to {self._limits.frames}")
        async with self._opened(file) as (path, name, fetched):
            request = ScanRequest(
                path=str(path),
                name=name,
                model=MODEL,
                frames=frames,
                explain=explain,
                stability=True,
                prevalence=None,
                fetched=fetched,
            )
            return await self._ask(request, tell)

    @asynccontextmanager
    async def _opened(self, file: str) -> AsyncIterator[tuple[Path, str, Mapping[str, str] | None]]:
        """Where the file lies, what it is called, and where it was fetched from."""
        if "://" not in file:
            yield self._within(file), file, None
            return
        if not self._limits.links:
            raise ToolError("links are not followed: start `unmask mcp` with --links")
        rules = LinkLimits(self._limits.upload_bytes, self._limits.link_s, public_only=True)
        with tempfile.TemporaryDirectory(prefix="unmask-") as folder:
            path = Path(folder) / "fetched"
            try:
                with path.open("wb") as into:
                    name, fetched = await asyncio.to_thread(fetch, file, into, rules)
            except MediaError as error:
                raise ToolError(f"{error.kind}: {error}") from error
            yield path, name, asdict(fetched)

    def _within(self, file: str) -> Path:
        """The file that is meant; relative names are looked for in each folder."""
        for folder in self._folders:
            path = (folder / file).resolve()
            if path.is_relative_to(folder) and path.is_file():
                break
        else:
            named = ", ".join(map(str, self._folders))
            raise ToolError(f"there is no file {file} in the folders that may be read: {named}")
        if path.stat().st_size > self._limits.upload_bytes:
            most = self._limits.upload_bytes / 1_000_000
            raise ToolError(f"{file} is larger than the {most:g} MB that are allowed")
        return path

    async def _ask(self, request: ScanRequest, tell: Tell) -> Mapping[str, bytes]:
        news: asyncio.Queue[Message] = asyncio.Queue()
        job = Job(request, news.put_nowait)
        self._pool.submit(job)
        try:
            while True:
                message = await news.get()
                if message.kind == "progress":
                    await tell(message.words)
                elif message.kind == "done":
                    return message.parts
                elif message.kind in ("failed", "cancelled"):
                    words = message.words
                    raise ToolError(f"{words.get('error', 'cancelled')}: {words.get('message')}")
        finally:
            self._pool.cancel(job)  # nothing, where it is over


def create_mcp(
    folders: Sequence[Path],
    *,
    model: str = "default",
    faces: str = "yunet",
    workers: int = 1,
    limits: Limits | None = None,
) -> MCPServer:
    """A server of the Model Context Protocol; `run()` serves stdin and stdout.

    - folders: files may be read from these and from what lies below them, and from nowhere else
    - model: a shipped bundle's name, or a file
    - limits: of size, time, memory and frames; `links` allows links to public addresses

    Its lifespan starts the workers, and raises UnmaskError where they cannot load the model.
    """
    limits = limits or Limits()
    pool = WorkerPool(
        workers,
        WorkerConfig(
            models={MODEL: model},
            faces=faces,
            engine="onnxruntime",
            device="cpu",
            max_pixels=limits.pixels,
            max_duration_s=limits.duration_s,
            time_s=limits.time_s,
            memory_bytes=limits.memory_bytes,
        ),
    )
    scans = FileScans(pool, folders, limits)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        await pool.start()
        try:
            yield
        finally:
            await pool.stop()

    server = MCPServer(
        "unmask",
        title="unmask",
        version=unmask.__version__,
        description="Tells whether a face in a picture or a video was faked",
        instructions=INSTRUCTIONS,
        log_level="WARNING",
        lifespan=lifespan,
    )
    reads_only = ToolAnnotations(
        read_only_hint=True,
        destructive_hint=False,
        idempotent_hint=True,
        open_world_hint=limits.links,
    )

    @server.tool(title="Judge a picture or a video", annotations=reads_only)
    async def scan(file: FileGiven, context: Context, frames: FramesGiven = None) -> Found:
        """Was a face in this picture or video faked? The verdict, and what it rests on."""
        parts = await scans.judge(file, frames, _progress(context), explain=False)
        return _found(file, json.loads(parts["report"]), json.loads(parts["view/en"]))

    @server.tool(
        title="Show the evidence for a verdict", annotations=reads_only, structured_output=False
    )
    async def explain(
        file: FileGiven, context: Context, frames: FramesGiven = None
    ) -> list[str | Image]:
        """The verdict in words, and pictures: the faces found, with what their score rests on.

        A heat map is among them only if it passed its test.
        """
        parts = await scans.judge(file, frames, _progress(context), explain=True)
        view = json.loads(parts["view/en"])
        return [_words(view), *_pictures(view, parts)]

    @server.tool(title="What the model is, and what it cannot do", annotations=reads_only)
    async def describe_model() -> dict[str, Any]:
        """The model's card: for what it is, on what it was measured, its thresholds and limits."""
        about: dict[str, Any] = dict(pool.models[MODEL])
        return about

    return server


def _progress(context: Context) -> Tell:
    async def tell(words: Mapping[str, Any]) -> None:
        await context.report_progress(words["frames"], words["frames_asked"])

    return tell


def _found(file: str, report: Mapping[str, Any], view: Mapping[str, Any]) -> Found:
    """The few facts of a report that an answer rests on."""
    verdict = report["verdict"]
    return {
        "file": on_one_line(file),
        "verdict": verdict["label"],
        "probability_fake": verdict["probability_fake"],
        "headline": view["headline"],
        "why": view["reasons"],
        "not_covered": view["not_covered"],
        "people": [
            {
                "person": person["id"],
                "verdict": person["verdict"]["label"],
                "probability_fake": person["verdict"]["probability_fake"],
                "reasons": person["verdict"]["reasons"],
            }
            for person in report["people"]
        ],
        "summary": view["summary"],
        "sha256": report["media"]["sha256"],
        "model": view["method"]["model"],
    }


def _words(view: Mapping[str, Any]) -> str:
    """The report's text: what it means and does not mean, and what the file says of itself."""
    said = [f"{name}: {words}" for name, words in (*view["facts"], *view["said"], *view["traces"])]
    return "\n".join(
        [
            view["summary"],
            f"What this means: {view['means']}",
            f"What it does not mean: {view['means_not']}",
            *view["contradictions"],
            *said,
        ]
    )


def _pictures(view: Mapping[str, Any], parts: Mapping[str, bytes]) -> list[str | Image]:
    """The pictures of the report's people, each behind its description."""
    shown: list[str | Image] = []
    for picture in _named(view):
        data = parts.get(f"picture/{picture['file']}")
        kind = picture["file"].rsplit(".", 1)[-1]
        if data is not None and kind in ("jpeg", "png") and len(shown) < 2 * MOST_PICTURES:
            shown += [picture["alt"], Image(data=data, format=kind)]
    return shown


def _named(value: Any) -> list[Mapping[str, str]]:
    """All pictures of a packed view, in the order in which a reader sees them."""
    if isinstance(value, dict):
        if value.keys() == {"file", "alt"}:
            return [value]
        return [picture for item in value.values() for picture in _named(item)]
    if isinstance(value, list):
        return [picture for item in value for picture in _named(item)]
    return []

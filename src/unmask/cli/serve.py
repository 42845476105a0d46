"""`unmask serve` and `unmask mcp`: for people, programs and agents."""

from __future__ import annotations

import webbrowser
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask._internal.cores import cores
from unmask.cli.output import (
    Device,
    DeviceOption,
    Engine,
    FacesOption,
    TrustOption,
    complain,
    complain_of_other_version,
    say,
)
from unmask.errors import MissingExtraError, ServerError, UnmaskError

if TYPE_CHECKING:
    from unmask.server.middleware import Access

MB = 1_000_000


class LogFormat(StrEnum):
    """The choices of --log-format."""

    text = "text"
    json = "json"


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; 127.0.0.1: only this machine can connect.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")
    ] = 8000,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help=(
                "Model bundle: a shipped one's name, a file, or NAME=FILE. If given several times,"
                " the first is the default."
            ),
            show_default="accurate where it was made, and default",
        ),
    ] = None,
    faces: FacesOption = "yunet",
    engine: Annotated[Engine, typer.Option(help="Runs the model.")] = Engine.onnxruntime,
    device: DeviceOption = Device.cpu,
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0: one per core.")] = 0,
    max_upload_mb: Annotated[float, typer.Option(min=0.001, help="Largest upload, in MB.")] = 200,
    max_duration: Annotated[float, typer.Option(min=0.1, help="Longest video, in seconds.")] = 3600,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Most pixels of a picture or frame.")
    ] = 50_000_000,
    max_time: Annotated[
        float, typer.Option(min=1, help="Give up on a file after this many seconds.")
    ] = 120,
    max_memory_mb: Annotated[
        float, typer.Option(min=100, help="Memory for one file, in MB.")
    ] = 2000,
    queue: Annotated[
        int, typer.Option(min=1, help="Most files queued or being judged at the same time.")
    ] = 64,
    per_client: Annotated[int, typer.Option(min=1, help="The same, per client.")] = 48,
    keep: Annotated[
        float, typer.Option(min=1, help="Delete results after this many seconds.")
    ] = 600,
    keys: Annotated[
        Path | None,
        typer.Option(
            help="File with API keys, one per line; without it, no key is needed.",
            show_default=False,
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(help="Allow pages of this origin to use the API (CORS).", show_default=False),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            help=(
                "Answer only to this host name; default: any, or localhost when listening on"
                " 127.0.0.1."
            ),
            show_default=False,
        ),
    ] = None,
    sign: Annotated[
        Path | None,
        typer.Option(
            help="Private key (Ed25519, PEM) to sign the JSON reports with.", show_default=False
        ),
    ] = None,
    trust: TrustOption = None,
    links: Annotated[
        bool | None,
        typer.Option(
            "--links/--no-links",
            help=(
                "Fetch files by their link, from public addresses; by default where only this"
                " machine can connect."
            ),
            show_default=False,
        ),
    ] = None,
    ledger: Annotated[
        Path | None,
        typer.Option(
            help="Show this archive at /archive, also while a scan writes it.", show_default=False
        ),
    ] = None,
    reports: Annotated[
        Path | None,
        typer.Option(
            help="With --ledger: the folder with its reports, to which rows lead.",
            show_default=False,
        ),
    ] = None,
    webhook_key: Annotated[
        Path | None,
        typer.Option(
            help=(
                "File with a key that you share with those who receive: requests may then name an"
                " address that is told when a scan has ended."
            ),
            show_default=False,
        ),
    ] = None,
    log_format: Annotated[
        LogFormat, typer.Option(help="The log on stderr: lines for people, or JSON for programs.")
    ] = LogFormat.text,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in your browser.")
    ] = False,
) -> None:
    """Start the web page and the API; uploads are deleted as soon as they have been checked."""
    try:
        from unmask.archive import read_ledger
        from unmask.bundle.registry import ACCURATE, bundles_here, identify
        from unmask.provenance.trust import use_trust
        from unmask.report.signature import read_key
        from unmask.server.app import bind, create_app
        from unmask.server.app import serve as serve_app
        from unmask.server.limits import Limits
        from unmask.server.logs import start_logging
        from unmask.server.middleware import is_loopback
        from unmask.server.webhooks import Webhooks, read_webhook_key
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("unmask"):
            raise
        raise MissingExtraError(f"the server ({error.name} is missing)", "web") from error

    if reports is not None and ledger is None:
        raise typer.BadParameter("--reports lies beside a ledger: it needs --ledger FILE")
    if ledger is not None:
        read_ledger(ledger).close()  # a wrong file is told now, not at the first visit
    if trust is not None:
        use_trust(trust)
    limits = Limits(
        upload_bytes=round(max_upload_mb * MB),
        duration_s=max_duration,
        pixels=max_pixels,
        time_s=max_time,
        memory_bytes=round(max_memory_mb * MB),
        queue=queue,
        per_client=per_client,
        keep_s=keep,
        links=is_loopback(host) if links is None else links,
    )
    local = ["localhost", "127.0.0.1", "::1"] if is_loopback(host) else []
    listening = bind(host, port)
    models = _models(model or bundles_here())
    app = create_app(
        models,
        workers=cores(workers),
        limits=limits,
        access=_access(keys, allow_host or local, allow_origin or []),
        faces=faces,
        engine=engine.value,
        device=device.value,
        signing_key=read_key(sign) if sign is not None else None,
        ledger=ledger,
        reports=reports,
        webhooks=Webhooks(read_webhook_key(webhook_key)) if webhook_key is not None else None,
    )
    start_logging(as_json=log_format is LogFormat.json)
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{listening.getsockname()[1]}/"

    def ready() -> None:
        say(f"unmask serves {address} (press Ctrl-C to stop)")
        if ledger is not None:
            say(f"the archive: {address}archive")
        if ACCURATE in models.values():
            complain_of_other_version(identify(ACCURATE))
        if not local and keys is None:
            complain(
                "anyone who can reach this machine can use this server; require a key with --keys"
                " FILE"
            )
        if open_browser:
            webbrowser.open(address)

    serve_app(app, listening, limits, ready)
    say("stopped")


def mcp(
    folder: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder whose files may be read, with all below it; default: the current one.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="Model bundle: a shipped one's name, or a file.")] = (
        "default"
    ),
    faces: FacesOption = "yunet",
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0: one per core.")] = 1,
    max_file_mb: Annotated[float, typer.Option(min=0.001, help="Largest file, in MB.")] = 200,
    max_time: Annotated[
        float, typer.Option(min=1, help="Give up on a file after this many seconds.")
    ] = 120,
    links: Annotated[bool, typer.Option(help="Fetch files from public addresses, too.")] = False,
) -> None:
    """Let an agent ask about files: a server of the Model Context Protocol on stdin and stdout."""
    try:
        from unmask.server.agents import create_mcp
        from unmask.server.limits import Limits
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("unmask"):
            raise
        raise MissingExtraError(f"unmask mcp ({error.name} is missing)", "agents") from error

    folders = folder or [Path.cwd()]
    for wanted in folders:
        if not wanted.is_dir():
            raise ServerError(f"there is no folder {wanted}")
    limits = Limits(upload_bytes=round(max_file_mb * MB), time_s=max_time, links=links)
    server = create_mcp(folders, model=model, faces=faces, workers=cores(workers), limits=limits)
    try:
        server.run()
    except BaseExceptionGroup as group:  # its tasks wrap what the workers say at their start
        ours = group.subgroup(UnmaskError)
        if ours is None:
            raise
        raise _first(ours) from None


def _first(error: BaseException) -> BaseException:
    """The first error of a group of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _models(given: list[str]) -> dict[str, str]:
    """Bundles by the names that requests use."""
    models: dict[str, str] = {}
    for entry in given:
        name, equals, path = entry.partition("=")
        name, path = (
            (name, path) if equals else (Path(entry).stem if Path(entry).suffix else entry, entry)
        )
        if name in models:
            raise typer.BadParameter(
                f"two models are called {name!r}; give them names: --model NAME=FILE"
            )
        models[name] = path
    return models


def _access(keys: Path | None, hosts: list[str], origins: list[str]) -> Access:
    from unmask.server.middleware import Access, digest

    if keys is None:
        return Access(hosts=frozenset(hosts), origins=frozenset(origins))
    try:
        lines = [line.strip() for line in keys.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ServerError(f"cannot read the API keys in {keys}: {error}") from error
    known = frozenset(digest(line) for line in lines if line and not line.startswith("#"))
    if not known:
        raise ServerError(f"{keys} holds no API key; write one a line")
    return Access(known, frozenset(hosts), frozenset(origins))

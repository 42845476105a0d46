"""What stands before the API: who may use it, and how much and how slowly a client may send."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from unmask.server.errors import ProblemError
from unmask.server.jobs import ScanJobs
from unmask.server.limits import MB, Limits
from unmask.server.logs import new_request_id, request_id

log = logging.getLogger("unmask.server")

UPLOADS = "/v1/scans"
OPEN_TO_ALL = ("/healthz", "/readyz")
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src"
        " blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
DRAIN_S, FORM_BYTES = 5.0, 64_000
"""Before a large upload is refused, it is read for so long, or its sender would see a broken line,
not the reason; what a form may have beside its file."""

DRAIN_BYTES = 1_000_000
"""What is read, and thrown away, of somebody who may not ask at all."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use the server.

    - keys: SHA-256 of the API keys; none: everybody
    - hosts: names that the server answers to; none: any
    - origins: of other pages that may use the API (CORS)
    """

    keys: Collection[bytes] = ()
    hosts: Collection[str] = ()
    origins: Collection[str] = ()

    def identify(self, scope: Scope, headers: Mapping[str, str]) -> str:
        """A name for the client that reveals nothing about it.

        Raises ProblemError 401 without a known key.
        """
        address = (scope.get("client") or ("?",))[0]
        if not self.keys or scope["path"] in OPEN_TO_ALL or not _is_api(scope["path"]):
            return digest(address).hex()
        scheme, _, given = headers.get("authorization", "").partition(" ")
        key = given.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        key_digest = digest(key)
        if sum(hmac.compare_digest(key_digest, known) for known in self.keys) == 0:
            # each takes its time, known or not
            raise ProblemError(
                401,
                "no_key",
                "an API key is needed: Authorization: Bearer KEY",
                {"www-authenticate": "Bearer"},
            )
        return key_digest.hex()

    def check_host(self, headers: Mapping[str, str]) -> None:
        """Refuse requests to a host name that this server does not answer to.

        Raises ProblemError 421: a page elsewhere may ask for a server that only this machine may
        use.
        """
        if not self.hosts:
            return
        host = headers.get("host", "")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if name.strip("[]").lower() not in self.hosts:
            raise ProblemError(
                421, "wrong_host", "this server does not answer to that host name; see --allow-host"
            )

    def check_origin(self, scope: Scope, headers: Mapping[str, str]) -> None:
        """Raises ProblemError 403 where another site's page wants to act."""
        if headers.get("origin") in self.origins:
            return
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and scope["method"] not in (
            "GET",
            "HEAD",
        ):
            raise ProblemError(
                403,
                "cross_site",
                "pages of other sites may not use this server; see --allow-origin",
            )


class GuardMiddleware:
    """ASGI middleware: keys, hosts, origins, body limits, headers, one shape for all errors."""

    def __init__(self, app: ASGIApp, *, access: Access, limits: Limits, jobs: ScanJobs) -> None:
        self._app, self._access, self._limits, self._jobs = app, access, limits, jobs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        begun, state = False, scope.setdefault("state", {})
        name = new_request_id()
        request_id.set(name)

        async def reply(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                named = [*message["headers"], (b"x-request-id", name.encode())]
                message = {**message, "headers": _with_headers(named, scope["path"])}
            await send(message)

        try:
            client = await self._authorize(scope, headers, receive)
            body = await self._body(scope, headers, client, receive)
            await self._app(scope, body, reply)
        except ProblemError as problem:
            if begun:
                raise
            self._jobs.metrics.refused.labels(problem.kind).inc()
            await _answer(reply, problem)
        except Exception as error:  # ours, not the client's; what it says may hold a file's name
            self._jobs.metrics.faults.inc()
            log.error("a fault at %s: %s", _where(error), type(error).__name__)
            if not begun:
                await _answer(
                    reply, ProblemError(500, "internal", "internal error; see the server's log")
                )
        finally:
            if "slot" in state:
                state["slot"].release()

    async def _authorize(self, scope: Scope, headers: Mapping[str, str], receive: Receive) -> str:
        """Who asks.

        Raises ProblemError where they may not; what a refused one sends is read first, as far as
        that is little, or the line would break before the answer has come.
        """
        try:
            self._access.check_host(headers)
            self._access.check_origin(scope, headers)
            return self._access.identify(scope, headers)
        except ProblemError:
            await _drain(headers, receive, DRAIN_BYTES)
            raise

    async def _body(
        self, scope: Scope, headers: Mapping[str, str], client: str, receive: Receive
    ) -> Receive:
        """What delivers the body, within limits."""
        upload = scope["method"] == "POST" and scope["path"] == UPLOADS
        most = self._limits.upload_bytes + FORM_BYTES if upload else FORM_BYTES
        declared = int(text) if (text := headers.get("content-length", "")).isdecimal() else 0
        if upload:
            try:
                scope["state"]["slot"] = self._jobs.admit(
                    client, declared or self._limits.upload_bytes
                )
            except ProblemError:
                await _drain(headers, receive, most)
                raise
        if declared > most:
            await _drain(headers, receive, 2 * most)
            raise self._too_large(upload)
        return self._limited(headers, receive, most, upload)

    def _limited(
        self, headers: Mapping[str, str], receive: Receive, most: int, upload: bool
    ) -> Receive:
        loop = asyncio.get_running_loop()
        began, got, whole = loop.time(), 0, False

        async def limited() -> Message:
            nonlocal got, whole
            if whole:
                return await receive()  # waits for the client to go
            left = (
                self._limits.upload_grace_s + got / self._limits.upload_rate - (loop.time() - began)
            )
            try:
                async with asyncio.timeout(max(0.0, left)):
                    message = await receive()
            except TimeoutError:
                raise ProblemError(408, "too_slow_upload", "the upload is too slow") from None
            if message["type"] == "http.request":
                got += len(message.get("body", b""))
                whole = not message.get("more_body", False)
                if got > most:
                    await _drain(headers, receive, 2 * most)
                    raise self._too_large(upload)
            return message

        return limited

    def _too_large(self, upload: bool) -> ProblemError:
        most = f"{self._limits.upload_bytes / MB:g} MB" if upload else f"{FORM_BYTES} bytes"
        return ProblemError(413, "upload_too_large", f"larger than the {most} allowed")


class SlowClientProtocol(H11Protocol):
    """A connection that is cut where the client is too slow.

    With the head of a request, or with taking an answer.
    """

    limits = Limits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since, self._left = self.loop.time(), 0
        self._watching = self.loop.call_later(1.0, self._watch)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watching.cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Once a second: does the connection make progress?"""
        now, left = self.loop.time(), self.transport.get_write_buffer_size()
        busy = self.cycle is not None and not self.cycle.response_complete
        idle = self.timeout_keep_alive_task is not None
        if left:
            patience = self.limits.read_s
            if left < self._left or not self._left:
                self._since = now
        else:
            patience = self.limits.head_s
            if busy or idle or self._left:
                self._since = now
        self._left = left
        if now - self._since > patience:
            self.transport.abort()
            return
        self._watching = self.loop.call_later(1.0, self._watch)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_api(path: str) -> bool:
    return path.startswith(("/v1/", "/archive")) or path == "/metrics"


def digest(text: str) -> bytes:
    """SHA-256 of a key or an address: all that is kept of it."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _with_headers(given: Any, path: str) -> list[tuple[bytes, bytes]]:
    names = {name.lower() for name, _ in given}
    more = HEADERS | {"cache-control": "no-store" if _is_api(path) else "no-cache"}
    return [*given, *((n.encode(), v.encode()) for n, v in more.items() if n.encode() not in names)]


async def _answer(send: Send, problem: ProblemError) -> None:
    more = {
        "content-type": "application/json",
        "content-length": str(len(problem.body)),
        "connection": "close",
    }
    headers = [
        (name.encode(), value.encode())
        for name, value in {**more, **(problem.headers or {})}.items()
    ]
    await send({"type": "http.response.start", "status": problem.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": problem.body})


async def _drain(headers: Mapping[str, str], receive: Receive, most: int) -> None:
    """Read what still comes, for a while; a client that waits for `100 Continue` sends nothing."""
    if "expect" in headers:
        return
    got = 0
    try:
        async with asyncio.timeout(DRAIN_S):
            while got < most:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                got += len(message.get("body", b""))
    except TimeoutError:
        return


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}"

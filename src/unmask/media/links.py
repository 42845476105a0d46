"""Fetching a picture or video from the web, by its link.

The standard library alone, so that each step is in sight: which address is connected to, where
redirects lead, how much is read and for how long. Proxies of the environment are not used.
"""

from __future__ import annotations

import datetime
import http.client
import ipaddress
import re
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

import unmask
from unmask._internal.text import on_one_line
from unmask.errors import LinkError, OutputError, PageError, UnreachableError
from unmask.media import platforms
from unmask.types import Fetched

MOST_BYTES = 2_000_000_000
"""Of one file, if nothing else is said."""

MOST_SECONDS = 600.0
"""For fetching one file, if nothing else is said."""

MOST_REDIRECTS = 5
READ_S = 30.0
"""For a server to send some more."""

CHUNK = 1 << 18

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_PAGE = re.compile(rb"^\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.I | re.S)


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """What fetching may take, and where it may lead.

    - bytes: of the file
    - seconds: for all of it, redirects included
    - public_only: refuse addresses that the internet does not reach: of this machine, its network,
      or a cloud's own services (server-side request forgery, OWASP A10:2021)
    """

    bytes: int = MOST_BYTES
    seconds: float = MOST_SECONDS
    public_only: bool = False


def is_link(text: str) -> bool:
    """Whether this is the address of something on the web."""
    return text.lower().startswith(("http://", "https://"))


def fetch(url: str, into: BinaryIO, limits: LinkLimits | None = None) -> tuple[str, Fetched]:
    """Write what lies at this address into a file; returns its name and where it was found when.

    Raises LinkError for what is no link to a file, leads where it may not, or is too large;
    UnreachableError where nothing comes, or not in time.
    """
    limits = limits or LinkLimits()
    deadline = time.monotonic() + limits.seconds
    at = _now()
    here = url
    for _ in range(MOST_REDIRECTS + 1):
        with _asked(_parts(here), limits, deadline) as answer:
            if answer.status in (301, 302, 303, 307, 308) and answer.getheader("location"):
                here = urljoin(here, str(answer.getheader("location")))
                continue
            if answer.status != 200:
                raise UnreachableError(
                    f"the server answers {answer.status} {on_one_line(answer.reason)}"
                )
            _copy(answer, into, limits, deadline)
            name = _file_name(answer.getheader("content-disposition"), here)
            return name, Fetched(url, here, at)
    raise LinkError(f"the link leads on more than {MOST_REDIRECTS} times")


def post(url: str, body: bytes, headers: Mapping[str, str], limits: LinkLimits) -> int:
    """Send this to an address; returns the status of the answer. Redirects are not followed.

    Raises LinkError and UnreachableError as `fetch` does.
    """
    deadline = time.monotonic() + limits.seconds
    with _asked(_parts(url), limits, deadline, body, headers) as answer:
        return answer.status


@contextmanager
def fetched_file(url: str, limits: LinkLimits | None = None) -> Iterator[tuple[Path, Fetched]]:
    """What lies at this address, as a file that is deleted afterwards.

    A page of a platform is handed to yt-dlp, where that is installed. Raises as `fetch` does.
    """
    limits = limits or LinkLimits()
    with tempfile.TemporaryDirectory(prefix="unmask-") as folder:
        unnamed, at = Path(folder) / "fetched", _now()
        try:
            with unnamed.open("wb") as into:
                name, fetched = fetch(url, into, limits)
            path = unnamed.rename(Path(folder) / name)
        except PageError:
            if limits.public_only or not platforms.can_fetch():
                raise
            path, page = platforms.fetch(url, Path(folder), limits.bytes)
            fetched = Fetched(url, page, at)
        yield path, fetched


def is_public(address: str) -> bool:
    """Whether the internet reaches this IP address, also where it is wrapped in another."""
    found = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(found, ipaddress.IPv6Address):
        wrapped = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if found in _NAT64:
            wrapped = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_public(str(wrapped))
    return found.is_global and not found.is_multicast


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise LinkError(f"not a link: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LinkError("not a link that can be followed: it must begin with https:// or http://")
    if parts.username or parts.password:
        raise LinkError("a link with a name or password in it is not followed")
    if port == 0:
        raise LinkError("not a link: port 0")
    return parts


@contextmanager
def _asked(
    parts: SplitResult,
    limits: LinkLimits,
    deadline: float,
    body: bytes | None = None,
    more: Mapping[str, str] | None = None,
) -> Iterator[http.client.HTTPResponse]:
    """The answer to GET, or to POST where there is a body.

    The connection goes to the very address that was checked: a name that leads elsewhere a moment
    later (DNS rebinding) gains nothing.
    """
    host = str(parts.hostname)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    path += f"?{quote(parts.query, safe='/%:@!$&()*+,;=~-._?')}" if parts.query else ""
    try:
        link = _connect(host, port, limits, deadline)
        if parts.scheme == "https":
            link = ssl.create_default_context().wrap_socket(link, server_hostname=host)
        connection = http.client.HTTPConnection(host, port)
        connection.sock = link
        with closing(connection):
            agent = f"unmask/{unmask.__version__}"
            headers = {"User-Agent": agent, "Accept": "*/*", "Accept-Encoding": "identity"}
            method = "GET" if body is None else "POST"
            connection.request(method, path, body, {**headers, **(more or {})})
            yield connection.getresponse()
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        words = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreachableError(f"{host} cannot be reached: {on_one_line(words)}") from error


def _connect(host: str, port: int, limits: LinkLimits, deadline: float) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(place[4][0]) for place in found))
    if limits.public_only and not all(map(is_public, addresses)):
        raise LinkError("the link leads to an address that is not public, which is not followed")
    fault: OSError = OSError("it has no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout=_remaining_s(deadline))
        except OSError as error:
            fault = error
    raise fault


def _remaining_s(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise UnreachableError("the file does not come in time")
    return min(left, READ_S)


def _copy(
    answer: http.client.HTTPResponse, into: BinaryIO, limits: LinkLimits, deadline: float
) -> None:
    """Write the body, and stop where it becomes too large, too slow, or is a page."""
    too_large = f"the file is larger than the {limits.bytes / 1e6:,.0f} MB that are allowed"
    if int(answer.getheader("content-length") or 0) > limits.bytes:
        raise LinkError(too_large)
    size = 0
    while chunk := answer.read1(CHUNK):
        if size == 0 and _is_page(answer, chunk):
            raise PageError(
                "the link leads to a web page, not to a picture or video; give the address of the"
                " file itself (in a browser: right click, “copy image address”), or save the file."
                f" {platforms.ADVICE}"
            )
        size += len(chunk)
        if size > limits.bytes:
            raise LinkError(too_large)
        _write(into, chunk)
        _remaining_s(deadline)
    promised = answer.getheader("content-length")
    if promised is not None and size < int(promised):
        raise UnreachableError(f"the file broke off after {size:,} of {int(promised):,} bytes")
    into.flush()


def _write(into: BinaryIO, chunk: bytes) -> None:
    try:
        into.write(chunk)
    except OSError as error:
        raise OutputError(f"the fetched file cannot be stored: {error.strerror}") from error


def _is_page(answer: http.client.HTTPResponse, beginning: bytes) -> bool:
    kind = (answer.getheader("content-type") or "").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml") or bool(_PAGE.match(beginning[:2000]))


def _file_name(disposition: str | None, url: str) -> str:
    """What the server calls the file, else the last part of the address; never with a folder."""
    message = Message()
    if disposition:
        message["content-disposition"] = disposition
    said = message.get_filename() or unquote(PurePosixPath(urlsplit(url).path).name)
    name = on_one_line(said.replace("\\", "/").rsplit("/", 1)[-1]).strip(" .")
    return re.sub(r'[<>:"|?*\0]', "_", name)[-150:] or "unnamed"

"""Another program is told that a scan has ended."""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from helpers.api_requests import refused, send
from helpers.serving import Served
from helpers.web_site import Answer
from unmask.errors import ServerError
from unmask.server.webhooks import read_webhook_key

KEY = "a key of this test"
Site = Callable[[str, Answer], str]


class Receiver:
    """Takes what is sent to it, with one of these statuses after the other."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.received: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"]))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        handler.send_response(
            self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        )
        handler.end_headers()
        self.received.put((headers, body))


def give(server: Served, content: bytes, callback: str) -> httpx.Response:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        return send(client, content, callback=callback)


def test_the_end_is_told_and_signed(
    serve: Callable[..., Served], site: Site, portrait: bytes
) -> None:
    server = serve(workers=1, webhook_key=KEY, this_machine_is_public=True)
    receiver = Receiver(204)
    answer = give(server, portrait, site("/hook", receiver))
    headers, body = receiver.received.get(timeout=20)
    told = json.loads(body)
    assert told["report"] == answer.json()["report"]
    assert (told["id"], told["status"]) == (answer.json()["id"], "done")
    signed = headers["x-unmask-timestamp"].encode() + b"." + body
    expected = hmac.new(KEY.encode(), signed, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(headers["x-unmask-signature"], expected)


def test_a_failure_is_told_too_and_again_where_it_was_not_taken(
    serve: Callable[..., Served], site: Site
) -> None:
    server = serve(workers=1, webhook_key=KEY, this_machine_is_public=True)
    receiver = Receiver(503, 200)
    assert refused(give(server, b"no picture", site("/hook", receiver)))[0] == 415
    for _ in range(2):
        _, body = receiver.received.get(timeout=20)
    assert json.loads(body)["error"]["kind"] == "unknown_format"


def test_private_addresses_are_told_nothing(
    serve: Callable[..., Served], site: Site, portrait: bytes
) -> None:
    server = serve(workers=1, webhook_key=KEY)
    receiver = Receiver(200)
    assert give(server, portrait, site("/hook", receiver)).status_code == 200
    with pytest.raises(queue.Empty):
        receiver.received.get(timeout=2)
    assert "a webhook was not taken: link" in server.log


def test_a_server_without_webhooks_says_so(served: Served, portrait: bytes) -> None:
    answer = give(served, portrait, "https://example.org/")
    assert refused(answer) == (422, "no_webhooks")


def test_keys(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("  0123456789abcdef\n")
    assert read_webhook_key(tmp_path / "key") == b"0123456789abcdef"
    (tmp_path / "short").write_text("short")
    with pytest.raises(ServerError, match="16 characters or more, this one 5"):
        read_webhook_key(tmp_path / "short")
    with pytest.raises(ServerError, match="cannot be read"):
        read_webhook_key(tmp_path / "none")

"""Telling another program that a scan has ended: a signed POST to an address that it has named."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from anyio import to_thread

from unmask.errors import MediaError, ServerError
from unmask.media.links import LinkLimits, post

log = logging.getLogger("unmask.server")

WAITS_S = (0.0, 2.0, 10.0, 60.0)
"""Before each attempt."""

SHORTEST_KEY = 16
ANSWER_S = 20.0


class Webhooks:
    """Sends what a scan came to, to public addresses only.

    `x-unmask-signature` is the HMAC-SHA256 (RFC 2104) of `x-unmask-timestamp`, a dot and the body.

    - key: shared with those who receive
    - waits_s: before each attempt
    """

    def __init__(self, key: bytes, *, waits_s: Sequence[float] = WAITS_S) -> None:
        self._key, self._waits_s = key, waits_s
        self._under_way: set[asyncio.Task[None]] = set()

    def tell(self, url: str, body: bytes, request: str) -> None:
        """Send it, in the background, until it is taken or the last attempt has failed.

        - request: id of the request that asked for it, for the log
        """
        task = asyncio.get_running_loop().create_task(self._tell(url, body, request))
        self._under_way.add(task)  # or nobody would hold it
        task.add_done_callback(self._under_way.discard)

    async def _tell(self, url: str, body: bytes, request: str) -> None:
        why = ""
        for wait_s in self._waits_s:
            await asyncio.sleep(wait_s)
            try:
                status = await to_thread.run_sync(self._send, url, body)
            except MediaError as error:
                why = error.kind
                continue
            if 200 <= status < 300:
                return
            why = f"answered {status}"
        log.warning("a webhook was not taken: %s", why, extra={"request": request})

    def _send(self, url: str, body: bytes) -> int:
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "X-Unmask-Timestamp": timestamp,
            "X-Unmask-Signature": sign(self._key, timestamp, body),
        }
        return post(url, body, headers, LinkLimits(seconds=ANSWER_S, public_only=True))


def sign(key: bytes, timestamp: str, body: bytes) -> str:
    """The signature that a receiver compares, in constant time, with the one that came."""
    return hmac.new(key, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def read_webhook_key(path: Path) -> bytes:
    """The key in this file, without the white space around it. Raises ServerError."""
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ServerError(f"{path} cannot be read: {error.strerror}") from error
    if len(key) < SHORTEST_KEY:
        raise ServerError(
            f"{path}: a key for webhooks has {SHORTEST_KEY} characters or more, this one {len(key)}"
        )
    return key

"""What one request, one client and the whole server may take."""

from __future__ import annotations

from dataclasses import dataclass

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request, one client and the whole server may take.

    - upload_bytes: of one file
    - pixels: of a picture or frame
    - duration_s: of a video, in seconds
    - frames: that may be asked for
    - time_s: for judging one file
    - memory_bytes: what a worker may take for one file
    - queue: files that wait or are being judged
    - per_client: the same, of one client
    - held_bytes: of all uploads at once
    - keep_s, kept_bytes: how long results can be fetched, and how much of them is kept
    - answer_bytes, answer_s: files up to this size are answered at once if they are judged within
      this time
    - head_s: for the head of a request
    - upload_grace_s, upload_rate: after the grace, an upload must have come with this many bytes a
      second
    - read_s: for a client to take some of an answer
    - links: whether files may be given by their link
    - link_s: for fetching one
    """

    upload_bytes: int = 200 * MB
    pixels: int = 50_000_000
    duration_s: float = 3600.0
    frames: int = 256
    time_s: float = 120.0
    memory_bytes: int = 2_000 * MB
    queue: int = 64
    per_client: int = 48
    held_bytes: int = 2_000 * MB
    keep_s: float = 600.0
    kept_bytes: int = 128 * MB
    answer_bytes: int = 10 * MB
    answer_s: float = 20.0
    head_s: float = 10.0
    upload_grace_s: float = 20.0
    upload_rate: float = 10_000.0
    read_s: float = 30.0
    links: bool = False
    link_s: float = 60.0

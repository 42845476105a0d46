"""A picture as a video has it: through H.264 and back.

For stress tests; nothing of a scan uses it.
"""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np

from unmask.types import Image

FRAMES = 3
"""Of the same picture; the last is taken, so that it is predicted as most frames of a video are."""


def through_h264(image: Image, crf: int) -> Image:
    """`image` after x264 at constant rate factor `crf` (0–51, the higher the coarser), 4:2:0."""
    height, width = image.shape[:2]
    even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream: Any = container.add_stream(
            "libx264", rate=25, options={"crf": str(crf), "preset": "veryfast"}
        )
        stream.width, stream.height, stream.pix_fmt = even.shape[1], even.shape[0], "yuv420p"
        stream.thread_count = 1
        for _ in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        last = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][-1]
    return np.ascontiguousarray(last[:height, :width])

"""The errors that a page shows."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from unmask.lab.data.manifest import Item
from unmask.lab.evaluation.plots import plot_roc, plot_scores
from unmask.lab.evaluation.worst import SHOWN, worst_errors


def picture(colour: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (400, 300), (colour, 0, 0)).save(file, "PNG")
    return file.getvalue()


def item(name: str, label: int, data: bytes | None = None, path: Path | None = None) -> Item:
    return Item(name, label, "set", "test", name, method="swap" * label, data=data, path=path)


def test_the_surest_errors_first_with_their_pictures(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"no picture")
    items = [
        item("folder/a.png", 0, picture(10)),
        item("b.png", 0, picture(200)),
        item("c.png", 0, picture(30)),
        item("d.png", 1, picture(40)),
        item("clip.mp4", 1, path=clip),
        item("e.png", 1, picture(60)),
    ]
    scores = np.array([0.6, 0.9, 0.2, 0.8, 0.1, np.nan])
    (accused, real), (missed, fake) = worst_errors(items, scores)
    assert accused.endswith("(2 in all)")
    assert missed.endswith("(1 in all)")
    assert [(one.name, one.probability) for one in real] == [("b.png", "0.900"), ("a.png", "0.600")]
    shown = Image.open(io.BytesIO(base64.b64decode(real[0].picture.split(",")[1])))
    assert max(shown.size) == 224
    assert abs(shown.getpixel((5, 5))[0] - 200) < 8  # type: ignore[index]
    assert [(one.name, one.picture, one.method) for one in fake] == [("clip.mp4", "", "swap")]


def test_no_more_than_a_page_can_show() -> None:
    items = [item(f"{n}.png", 0, picture(1)) for n in range(SHOWN + 5)]
    (title, real), (_, fake) = worst_errors(items, np.full(len(items), 0.7))
    assert len(real) == SHOWN
    assert f"({SHOWN + 5} in all)" in title
    assert fake == []


def test_the_ring_lies_where_the_threshold_does() -> None:
    labels, scores = np.array([0, 0, 0, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.9, 0.7, 0.95])
    axes = plot_roc({"set": (labels, scores)}, (0.3, 0.8)).axes[0]
    ring = next(line for line in axes.lines if line.get_marker() == "o")
    assert [*ring.get_xdata(), *ring.get_ydata()] == [0.25, 0.5]
    lines = plot_scores(labels, scores, (0.3, 0.8)).axes[0].lines
    assert [line.get_xdata()[0] for line in lines] == [0.3, 0.8]

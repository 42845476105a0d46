"""Pictures of a report: overlays and thumbnails as JPEG or PNG, the course of time as SVG.

SVG is drawn with classes (`ink`, `soft`, `fake`, …); the page gives them colours for light and
dark, the PDF fixed ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import cv2
import numpy as np

from unmask._internal import jpeg
from unmask.report.palette import LIGHT
from unmask.types import Exhibit, Floats, Image, Person

STRONGEST = 0.25
"""Share of the face that is outlined: where the map is highest."""

DIMMED = 0.55
"""Brightness of what lies outside of the outline."""


def fixed_colours() -> str:
    """CSS for drawings where no page gives their colours."""
    colours = LIGHT
    return (
        f".ink{{stroke:{colours['ink']};fill:none}}"
        f".text{{fill:{colours['soft']};font:12px sans-serif}}"
        f".soft{{stroke:{colours['line']};fill:none}}"
        f".fake{{stroke:{colours['fake']};fill:none}}"
        f".real{{stroke:{colours['real']};fill:none}}"
        f".band{{fill:{colours['soft']};fill-opacity:.22}}"
        f".dot{{fill:{colours['ink']}}}"
        f".mark{{fill:{colours['fake']};fill-opacity:.13}}"
        f".hatch{{stroke:{colours['fake']};stroke-opacity:.5}}"
    )


def overlay(crop: Image, heatmap: Floats) -> Image:
    """The crop with an outline around the places that speak most for a fake, the rest dimmed.

    It is the strongest quarter of every face, whatever the face's score: brightness would look like
    a strength that a map does not have.
    """
    full = _enlarged(heatmap, crop.shape[0])
    outside = (full < _edge(full))[..., None]
    return _outlined(np.where(outside, crop * DIMMED, crop).astype(np.uint8), full)


def _edge(full: Floats) -> float:
    """The value from which on a place belongs to the strongest."""
    return float(np.quantile(full, 1 - STRONGEST))


def _outlined(image: Image, full: Floats) -> Image:
    inside = (full >= _edge(full)).astype(np.uint8)
    shapes = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    scale = max(1, round(image.shape[0] / 192))
    drawn = cv2.drawContours(
        np.ascontiguousarray(image), shapes, -1, (0, 0, 0), 4 * scale, cv2.LINE_AA
    )
    return cv2.drawContours(drawn, shapes, -1, (255, 255, 255), 2 * scale, cv2.LINE_AA)  # type: ignore[return-value]


def _enlarged(heatmap: Floats, side: int) -> Floats:
    return cv2.resize(np.asarray(heatmap, np.float32), (side, side), interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]


def enlarge(image: Image, side: int) -> Image:
    """The picture at `side` pixels, smoothly."""
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]


def show_in_frame(exhibit: Exhibit, *, with_map: bool) -> Image | None:
    """The frame with the judged square outlined, and the heat map laid into it."""
    if exhibit.picture is None or exhibit.corners is None:
        return None
    frame = jpeg.decode(exhibit.picture)
    corners = np.asarray(exhibit.corners, np.float32)
    if with_map and exhibit.score.heatmap is not None:
        coloured = overlay(exhibit.crop, exhibit.score.heatmap)
        side = coloured.shape[0]
        square = np.array([[0, 0], [side, 0], [side, side]], np.float32)
        matrix = cv2.getAffineTransform(square, corners[:3])
        size = (frame.shape[1], frame.shape[0])
        mask = cv2.warpAffine(np.full((side, side), 255, np.uint8), matrix, size)
        placed = cv2.warpAffine(coloured, matrix, size, flags=cv2.INTER_AREA)
        frame = np.where(mask[..., None] > 127, placed, frame).astype(np.uint8)
    points = [np.round(corners).astype(np.int32)]
    thick = max(2, round(max(frame.shape[:2]) / 320))
    frame = np.ascontiguousarray(frame)
    cv2.polylines(frame, points, True, (0, 0, 0), thick + 2, cv2.LINE_AA)
    cv2.polylines(frame, points, True, (255, 255, 255), thick, cv2.LINE_AA)
    return frame


def timeline(person: Person, duration_s: float, fake: float, real: float) -> str:
    """The probability over time, with interval, thresholds and segments that look fake, as SVG."""
    width, height, left, top, bottom = 720, 190, 44, 12, 30
    span, rise = width - left - 12, height - top - bottom

    def x(time: float) -> float:
        return left + span * min(max(time / max(duration_s, 1e-6), 0), 1)

    def y(probability: float) -> float:
        return top + rise * (1 - probability)

    elements = [_hatching(f"hatch{person.id}")]
    for segment in person.segments if any(segment.share < 1 for segment in person.segments) else ():
        a, b = x(segment.start_s), x(segment.end_s)
        place = f'x="{a:.1f}" y="{top}" width="{max(b - a, 1):.1f}" height="{rise}"'
        elements.append(
            f'<rect class="mark" {place}/><rect {place} fill="url(#hatch{person.id})"/>'
        )
    for value in (0, 0.25, 0.5, 0.75, 1):
        elements.append(
            f'<line class="soft" x1="{left}" x2="{left + span}" y1="{y(value):.1f}"'
            f' y2="{y(value):.1f}"/>'
        )
        elements.append(
            f'<text class="text" x="{left - 6}" y="{y(value) + 4:.1f}"'
            f' text-anchor="end">{value:g}</text>'
        )
    for name, value in (("fake", fake), ("real", real)):
        line = f'x1="{left}" x2="{left + span}" y1="{y(value):.1f}" y2="{y(value):.1f}"'
        elements.append(f'<line class="{name}" {line} stroke-width="1.5" stroke-dasharray="7 4"/>')
    moments = person.timeline
    if moments:
        upper = " ".join(f"{x(m.time_s):.1f},{y(m.high):.1f}" for m in moments)
        lower = " ".join(f"{x(m.time_s):.1f},{y(m.low):.1f}" for m in reversed(moments))
        course = " ".join(f"{x(m.time_s):.1f},{y(m.probability_fake):.1f}" for m in moments)
        elements.append(f'<polygon class="band" points="{upper} {lower}"/>')
        elements.append(f'<polyline class="ink" stroke-width="2" points="{course}"/>')
    for score in person.scores:
        if score.probability_fake is not None:
            at = f'cx="{x(score.face.time_s):.1f}" cy="{y(score.probability_fake):.1f}"'
            elements.append(f'<circle class="dot" {at} r="2.6"/>')
    for time in _ticks(duration_s):
        elements.append(
            f'<text class="text" x="{x(time):.1f}" y="{height - 10}" text-anchor="middle">{time:g}'
            " s</text>"
        )
    return _svg(width, height, elements, f"Probability of fake over time, person {person.id}")


def _hatching(name: str) -> str:
    return (
        f'<defs><pattern id="{name}" width="8" height="8" patternUnits="userSpaceOnUse"'
        ' patternTransform="rotate(45)"><line class="hatch" x1="0" y1="0" x2="0" y2="8"'
        ' stroke-width="1.5"/></pattern></defs>'
    )


def _ticks(duration_s: float) -> list[float]:
    step = next(
        (s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600) if duration_s / s <= 10), 3600
    )
    return [round(k * step, 3) for k in range(int(duration_s / step) + 1)]


def _svg(width: int, height: int, parts: Sequence[str], title: str) -> str:
    box = f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>' + "".join(parts) + "</svg>"

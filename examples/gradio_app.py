"""A small Gradio page: upload a picture or a video, see verdict, confidence per class, heat map.

    pip install -r examples/gradio-requirements.txt .
    python examples/gradio_app.py

`unmask serve` has the full page; this one shows how little it takes to build one's own."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # nobody else learns what is judged here

import gradio as gr

from unmask import UnmaskError, load_detector
from unmask.report import MEANS, enlarge, headline, overlay

detector = load_detector()


def judge(path: str | None) -> tuple[str, dict[str, float] | None, list[tuple[Any, str]]]:
    """The verdict in words, the confidence per class, and faces with their heat maps."""
    if path is None:
        raise gr.Error("Choose a picture or a video.")
    try:
        report = detector.scan(path, explain=True)
    except UnmaskError as error:
        raise gr.Error(str(error)) from error
    verdict = report.verdict
    means, means_not = MEANS[verdict.label]
    title = verdict.label.replace("_", " ").upper()
    words = f"## {title}\n\n**{headline(report)}**\n\n{means}\n\n*{means_not}*"
    p = verdict.probability_fake
    shown: list[tuple[Any, str]] = []
    for person in report.people:
        for exhibit in person.exhibits[:1]:
            crop, score = enlarge(exhibit.crop, 384), exhibit.score
            shown.append(
                (crop, f"Person {person.id}: probability of fake {score.probability_fake:.3f}")
            )
            if score.heatmap is not None and exhibit.faithfulness is not None:
                tested = (
                    "passed" if exhibit.faithfulness.faithful else "failed, no better than chance"
                )
                shown.append((overlay(crop, score.heatmap), f"Heat map, tested: {tested}"))
    return words, None if p is None else {"fake": p, "real": 1 - p}, shown


page = gr.Interface(
    judge,
    gr.File(label="Picture or video", file_types=["image", "video"], type="filepath"),
    [
        gr.Markdown(),
        gr.Label(label="Confidence per class", show_heading=False),
        gr.Gallery(label="Faces and heat maps", object_fit="contain"),
    ],
    title="unmask",
    description="Was a face in this picture or video faked? A first look, not a judge.",
    flagging_mode="never",
    api_name="judge",
    delete_cache=(60, 60),
)

if __name__ == "__main__":
    page.launch(inbrowser=True)

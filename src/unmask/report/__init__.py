"""A report in every form: JSON, one HTML page, PDF, words."""

from __future__ import annotations

from unmask.report.figures import enlarge, overlay
from unmask.report.files import write_report
from unmask.report.json import to_json
from unmask.report.phrases import EXPLANATIONS, MEANS, SENTENCES, headline, sentence
from unmask.report.shape import SCHEMA

__all__ = [
    "EXPLANATIONS",
    "MEANS",
    "SCHEMA",
    "SENTENCES",
    "enlarge",
    "headline",
    "overlay",
    "sentence",
    "to_json",
    "write_report",
]

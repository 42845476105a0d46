"""A report in every form: JSON, one HTML page, PDF, words."""

from __future__ import annotations

from unmask.report.data import SCHEMA, to_json
from unmask.report.words import EXPLANATIONS, SENTENCES, sentence

__all__ = ["EXPLANATIONS", "SCHEMA", "SENTENCES", "sentence", "to_json"]

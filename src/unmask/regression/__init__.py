"""A standing set of known files, and what a model makes of them now (docs/regression.md).

Files whose truth is known, above all those that were judged wrongly once: a new model is tried on
them before it is used.
"""

from __future__ import annotations

from unmask.regression.known import Known, add_known, entry_of, read_known
from unmask.regression.run import Outcome, compare, find_file

__all__ = ["Known", "Outcome", "add_known", "compare", "entry_of", "find_file", "read_known"]

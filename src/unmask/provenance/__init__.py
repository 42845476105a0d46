"""What a file says of itself.

It is a claim, never proof: anyone can write it, and most honest files say nothing.
"""

from __future__ import annotations

from unmask.provenance.base import Check, FileUnderCheck
from unmask.provenance.checks import CHECKS, ProvenanceAnalysis, all_checks, check_provenance
from unmask.provenance.contradictions import contradictions

__all__ = [
    "CHECKS",
    "Check",
    "FileUnderCheck",
    "ProvenanceAnalysis",
    "all_checks",
    "check_provenance",
    "contradictions",
]

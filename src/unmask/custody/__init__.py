"""A case file: a log of what was judged when by whom, which nobody can change unnoticed.

Each entry is signed, names the one before it by its digest, and may hold the time of an authority
(docs/case.md).
"""

from __future__ import annotations

from unmask.custody.log import CaseLog
from unmask.custody.verify import CaseCheck, verify_case

__all__ = ["CaseCheck", "CaseLog", "verify_case"]

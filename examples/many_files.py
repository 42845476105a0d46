"""A platform with many files: JSON Lines on stdout, one object a file, whatever happens to single
ones.

python examples/many_files.py folder/ > verdicts.jsonl

For more files than one sitting judges: unmask scan folder/ --ledger FILE (docs/archive.md)."""

import json
import sys
from pathlib import Path

import unmask
from unmask.media import find_media
from unmask.report import to_json

detector = unmask.load_detector(threads=1)  # files run side by side
files = [file for root in sys.argv[1:] for file in find_media(Path(root))]
for result in detector.scan_many(files, frames=16, stability=False):
    print(json.dumps(to_json(result, prevalence=0.01), ensure_ascii=False), flush=True)

"""A fact-checker with one clip: the verdict in words, and a report to keep.

python examples/fact_checker.py clip.mp4 out/
"""

import sys
from pathlib import Path

import unmask
from unmask.report import sentence, write_report

path, out = Path(sys.argv[1]), Path(sys.argv[2])
detector = unmask.load_detector()
report = detector.scan(path, explain=True)
print(sentence(report.verdict))
for person in report.people:
    for segment in person.segments:
        print(f"person {person.id} looks fake from {segment.start_s:.1f} to {segment.end_s:.1f} s")
for words in report.contradictions:
    print(words)
for written in write_report(report, detector.bundle.card, out):
    print(f"written: {written}")

"""Broken files: an answer or a clear error, in bounded time and memory, never "real" of a part."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from corpus.members import MEMBERS, write_members
from corpus.mutations import MUTATIONS, pieces
from corpus.worker import Judge

FILES = int(os.environ.get("UNMASK_FUZZ_FILES", "600"))
"""How many files are broken and judged."""

FIRST = int(os.environ.get("UNMASK_FUZZ_FIRST", "0"))
"""Number of the first: each number breaks the same file in the same way."""

WITHOUT_LENGTH = frozenset({"h264.ts", "mpeg2.mpg", "h264.264", "jpegs.mjpeg"})
"""Files that nowhere say how long they are: cut, they are whole files, and shorter."""

WITH_CHECKSUMS = frozenset({"plain.png", "palette.png", "deep.png"})
"""Files of which each wrong bit can be known. In others, wrong bits give another picture, which may
be judged."""

CUTS = frozenset({"cut", "cut_near_the_end"})


def shows(name: str, way: str) -> bool:
    """Whether a file broken in this way shows that something is missing."""
    return name not in WITHOUT_LENGTH if way in CUTS else name in WITH_CHECKSUMS


def test_pieces_cover_a_file_and_say_their_length(tmp_path: Path) -> None:
    for name in ("plain.png", "frames.webp", "baseline.jpg", "h264.mp4", "one.heic", "h264.ts"):
        (path,) = write_members(tmp_path, [name]).values()
        content = path.read_bytes()
        found = pieces(content)
        assert len(found) >= 2, name
        assert max(piece.end for piece in found) <= len(content)
        assert all(piece.start <= piece.length_at < piece.end for piece in found)


def test_each_way_breaks_a_file_the_same_way_twice(tmp_path: Path) -> None:
    (path,) = write_members(tmp_path, ["plain.png"]).values()
    content = path.read_bytes()
    for mutation in MUTATIONS.values():
        once, again = (mutation(content, Random(3), content) for _ in range(2))
        assert once == again
        assert len(once) <= 3 * len(content)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_broken_files_get_an_answer_or_a_clear_error(tiny_bundle: Path, tmp_path: Path) -> None:
    whole = {name: path.read_bytes() for name, path in write_members(tmp_path).items()}
    names, ways = list(MEMBERS), list(MUTATIONS)
    answers: Counter[str] = Counter()
    faults = []
    with Judge(tiny_bundle) as judge:
        for number in range(FIRST, FIRST + FILES):
            random = Random(number)
            name, way = names[number % len(names)], random.choice(ways)
            content = MUTATIONS[way](whole[name], random, whole[random.choice(names)])
            path = tmp_path / f"broken-{name}"
            path.write_bytes(content)
            answer = judge.judge(path)
            label = answer.get("verdict")
            if "fault" in answer or (label == "real" and shows(name, way)):
                faults.append(f"{number}: {name}, {way}, {len(content)} bytes: {answer}")
            answers[label or answer.get("error") or "fault"] += 1
    print(f"{FILES} broken files: {dict(answers)}")
    assert not faults, "\n".join(faults)

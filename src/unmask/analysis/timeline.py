"""A person's scores in time → the course of the probability, and the segments in which the face
looks fake.

Segments are the fake stretches of the likeliest course of a face that is real or fake at each
moment and seldom changes: Viterbi's algorithm (Forney, Proc. IEEE 1973) over two states, with the
calibrated probabilities as evidence and SWITCH as the price of a change.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

from unmask.types import Moment, Score, Segment

SWITCH = 4.0
"""Log-odds that a change from real to fake or back must bring in: three faces at 0.94 make a
segment between real ones, two do not, whatever they show (evidence of one face is at most CLIP)."""

CLIP = 3.0
"""Log-odds that one face may count for: frames of a clip resemble each other, and one may fool the
model."""

MIN_FACES = 3
"""Judged faces that a segment needs."""

WINDOW = 1.5
"""Width of the smoothing (standard deviation), in sampling steps."""

_Z = 1.96


def log_odds(probability: float) -> float:
    """The logit of a probability, which is clipped to [0.001, 0.999]."""
    p = min(max(probability, 0.001), 0.999)
    return log(p / (1 - p))


def sigmoid(odds: float) -> float:
    """The probability of log-odds."""
    return 1 / (1 + exp(-odds))


def combine(probabilities: Sequence[float]) -> float:
    """The sigmoid of the mean logit: the geometric mean of the odds, so that one frame cannot
    decide alone.
    """
    return sigmoid(sum(map(log_odds, probabilities)) / len(probabilities))


def trace(scores: Sequence[Score], step_s: float) -> tuple[Moment, ...]:
    """The probability at the time of each judged face, from it and its neighbours; step_s: time
    between frames.

    The mean logit of the faces around, each with the weight of a Gaussian; the interval is that of
    a weighted mean, with a spread that is measured around the moment and is taken for no smaller
    than half of that over the whole clip.
    """
    seen = _judged(scores)
    if len(seen) < 2:
        return ()
    logits = [log_odds(p) for _, p in seen]
    overall = _spread(logits, [1.0] * len(logits))
    width = max(WINDOW * step_s, 1e-6)
    moments = []
    for time, _ in seen:
        weights = [exp(-0.5 * ((other - time) / width) ** 2) for other, _ in seen]
        total = sum(weights)
        mean = sum(w * x for w, x in zip(weights, logits, strict=True)) / total
        spread = max(_spread(logits, weights), overall / 2)
        reach = _Z * spread * sum(w * w for w in weights) ** 0.5 / total
        moments.append(Moment(time, sigmoid(mean), sigmoid(mean - reach), sigmoid(mean + reach)))
    return tuple(moments)


def find_segments(scores: Sequence[Score]) -> tuple[Segment, ...]:
    """The stretches in which the person's face looks fake, in order; each has at least MIN_FACES
    judged faces.

    A segment begins halfway between its first face and the one before, and ends likewise.
    """
    seen = _judged(scores)
    states = _likeliest([min(max(log_odds(p), -CLIP), CLIP) for _, p in seen])
    found = []
    for first, last in _runs(states):
        if last - first + 1 < min(MIN_FACES, len(seen)):
            continue
        times = [time for time, _ in seen]
        before = times[first] - times[first - 1] if first else 0.0
        after = times[last + 1] - times[last] if last + 1 < len(seen) else 0.0
        found.append(
            Segment(
                start_s=times[first] - before / 2,
                end_s=times[last] + after / 2,
                within_s=max(before, after) / 2,
                probability_fake=combine([p for _, p in seen[first : last + 1]]),
                faces=last - first + 1,
                share=(last - first + 1) / len(seen),
            )
        )
    return tuple(found)


def where_to_look(segments: Sequence[Segment], scores: Sequence[Score], count: int) -> list[float]:
    """At most `count` times in which a look would tell more precisely where segments begin and end:
    the gaps around their ends, cut into equal parts.
    """
    times = [time for time, _ in _judged(scores)]
    gaps = set()
    for segment in segments:
        for end in (segment.start_s, segment.end_s):
            before = [t for t in times if t < end]
            after = [t for t in times if t > end]
            if before and after:
                gaps.add((max(before), min(after)))
    if not gaps:
        return []
    each, left = divmod(count, len(gaps))
    wanted = []
    for number, (start, end) in enumerate(sorted(gaps)):
        parts = each + (number < left)
        wanted += [start + (end - start) * (k + 1) / (parts + 1) for k in range(parts)]
    return wanted


def _judged(scores: Sequence[Score]) -> list[tuple[float, float]]:
    """(time, probability) of the judged faces."""
    return [(s.face.time_s, s.probability_fake) for s in scores if s.probability_fake is not None]


def _likeliest(evidence: Sequence[float]) -> list[bool]:
    """Whether the face is fake at each step, from the log-odds of each: the course that costs
    least.
    """
    if not evidence:
        return []
    real, fake = 0.0, evidence[0]
    came_from: list[
        tuple[bool, bool]
    ] = []  # for each step: was it fake before, if it is real now, or fake now
    for odds in evidence[1:]:
        came_from.append((fake - SWITCH > real, fake >= real - SWITCH))
        real, fake = max(real, fake - SWITCH), max(fake, real - SWITCH) + odds
    states = [fake > real]
    for if_real, if_fake in reversed(came_from):
        states.append(if_fake if states[-1] else if_real)
    return states[::-1]


def _runs(states: Sequence[bool]) -> list[tuple[int, int]]:
    """First and last place of each run of True."""
    runs, start = [], None
    for place, state in enumerate([*states, False]):
        if state and start is None:
            start = place
        elif not state and start is not None:
            runs.append((start, place - 1))
            start = None
    return runs


def _spread(values: Sequence[float], weights: Sequence[float]) -> float:
    total = sum(weights)
    mean = sum(w * v for w, v in zip(weights, values, strict=True)) / total
    return float(
        (sum(w * (v - mean) ** 2 for w, v in zip(weights, values, strict=True)) / total) ** 0.5
    )

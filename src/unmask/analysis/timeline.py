"""A person's scores in time → the course of the probability, and the segments that look fake.

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
    """The sigmoid of the mean logit, so that one frame cannot decide alone.

    It is the geometric mean of the odds.
    """
    return sigmoid(sum(map(log_odds, probabilities)) / len(probabilities))


def trace(scores: Sequence[Score], step_s: float) -> tuple[Moment, ...]:
    """The probability at the time of each judged face, from it and its neighbours.

    - step_s: time between frames

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
    """The stretches in which the person's face looks fake, in order.

    Each has at least MIN_FACES judged faces.

    A segment begins halfway between its first face and the one before, and ends likewise.
    """
    seen = _judged(scores)
    states = _likeliest([min(max(log_odds(p), -CLIP), CLIP) for _, p in seen])
    segments = []
    for first, last in _runs(states):
        if last - first + 1 < min(MIN_FACES, len(seen)):
            continue
        times = [time for time, _ in seen]
        before = times[first] - times[first - 1] if first else 0.0
        after = times[last + 1] - times[last] if last + 1 < len(seen) else 0.0
        segments.append(
            Segment(
                start_s=times[first] - before / 2,
                end_s=times[last] + after / 2,
                within_s=max(before, after) / 2,
                probability_fake=combine([p for _, p in seen[first : last + 1]]),
                faces=last - first + 1,
                share=(last - first + 1) / len(seen),
            )
        )
    return tuple(segments)


def where_to_look(segments: Sequence[Segment], scores: Sequence[Score], count: int) -> list[float]:
    """At most `count` times that would show more precisely where segments begin and end.

    The gaps around their ends are cut into equal parts.
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
    times_s = []
    for number, (start, end) in enumerate(sorted(gaps)):
        looks = each + (number < left)
        times_s += [start + (end - start) * (k + 1) / (looks + 1) for k in range(looks)]
    return times_s


def _judged(scores: Sequence[Score]) -> list[tuple[float, float]]:
    """(time, probability) of the judged faces."""
    return [(s.face.time_s, s.probability_fake) for s in scores if s.probability_fake is not None]


def _likeliest(evidence: Sequence[float]) -> list[bool]:
    """Whether the face is fake at each step: the course of states that costs least.

    - evidence: log-odds of each step
    """
    if not evidence:
        return []
    # Forward: how good the best course is that ends real, or fake, at each step. Being real gains
    # nothing, being fake gains the evidence, and a change of state costs SWITCH.
    ends_real, ends_fake = 0.0, evidence[0]
    was_fake: list[tuple[bool, bool]] = []  # before each step: if it is real now, if it is fake now
    for odds in evidence[1:]:
        fake_before_real = ends_fake - SWITCH > ends_real
        fake_before_fake = ends_fake >= ends_real - SWITCH
        was_fake.append((fake_before_real, fake_before_fake))
        best_before_real = max(ends_real, ends_fake - SWITCH)
        best_before_fake = max(ends_fake, ends_real - SWITCH)
        ends_real, ends_fake = best_before_real, best_before_fake + odds
    # Backward: from the better end, the states that led to it.
    states = [ends_fake > ends_real]
    for if_real, if_fake in reversed(was_fake):
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

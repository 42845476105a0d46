"""Who is in a picture: SFace embeddings, and pictures of one human being brought together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unmask.errors import ManifestError
from unmask.faces.alignment import similarity_transform
from unmask.faces.embedding import SPEC, load_sface
from unmask.lab.data.samples import Sample, watched, worker_pool
from unmask.types import Floats

SAME_PERSON = 0.5
"""Cosine from which two faces are taken for one person. OpenCV says 0.363 for a pair (SFace: Zhong
et al., IEEE TIP 2021); among all pairs of a set that is too little: 1,000 LFW photographs, one a
person, make 936 people at 0.4 and 999 at 0.5. Children are taken for each other more often: 800
UTKFace photographs of all ages make 580."""


def embed(samples: Sequence[Sample], jobs: int = 2) -> Floats:
    """(n, 128) unit vectors; zeros where the picture cannot be decoded."""
    with worker_pool(jobs) as run:
        rows = list(watched(run(_embed, samples), len(samples), "comparing faces"))
    return np.stack(rows) if rows else np.zeros((0, 128), np.float32)


def cluster(vectors: Floats, threshold: float = SAME_PERSON) -> npt.NDArray[np.int64]:
    """(n,) numbers of people.

    Leaders first: each vector joins the person whose mean it is closest to, if at least `threshold`
    close, or begins a new one; then, with all people known, each goes to the closest once more.
    """
    sums: list[Any] = []
    labels = np.full(len(vectors), -1, np.int64)
    means = np.zeros((0, vectors.shape[1]), np.float32)
    for row, vector in enumerate(vectors):
        near = means @ vector
        best = int(near.argmax()) if len(near) else -1
        if best < 0 or near[best] < threshold:
            best = len(sums)
            sums.append(np.zeros_like(vector))
            means = np.vstack([means, vector[None]])
        sums[best] = sums[best] + vector
        means[best] = sums[best] / max(float(np.linalg.norm(sums[best])), 1e-9)
        labels[row] = best
    if sums:
        near = vectors @ means.T
        labels = np.where(near.max(axis=1) >= threshold, near.argmax(axis=1), labels)
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _embed(sample: Sample) -> Floats:
    try:
        image = sample.item.decode()
    except ManifestError:
        return np.zeros(128, np.float32)
    crop = SPEC.cut(image, similarity_transform(sample.landmarks, SPEC.target()))
    # pictures are compared side by side
    return np.asarray(load_sface(threads=1).embed([crop])[0], np.float32)

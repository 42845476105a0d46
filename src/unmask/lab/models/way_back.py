"""What was tuned, moved back towards the encoder as it was before.

What a network learns last is the sources that it is shown, and most of that is in its last blocks.
Between what it was and what it became lies a network that keeps more of both: Wortsman et al.,
"Robust fine-tuning of zero-shot models" (CVPR 2022), mix the two with one share for all layers.
Here each block has its own, which costs nothing when faces are judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

FIRST_NORM = "norm_pre"
"""Before the first block; it goes back as far as that block does."""


def moved_back(
    state: Mapping[str, np.ndarray], untuned: Mapping[str, np.ndarray], shares: Sequence[float]
) -> dict[str, np.ndarray]:
    """The state of a network whose backbone is a transformer with tuned norms and low-rank changes.

    The head, and the norm before it, stay as they are.

    - state: arrays by name
    - untuned: the backbone's before it was tuned, by names without `backbone.`
    - shares: of the way back, one for each block: 0 leaves what was learnt, 1 undoes it
    """
    moved = dict(state)
    for name, tuned in state.items():
        within = name.removeprefix("backbone.")
        block = _block_of(within)
        if block is None:
            continue
        kept = 1 - shares[block]
        if within.endswith(".up"):
            # half of a low-rank change is the change with half of one of its two factors
            moved[name] = kept * tuned
        elif "norm" in within:
            before = untuned[within]
            moved[name] = before + kept * (tuned - before)
    return moved


def _block_of(name: str) -> int | None:
    """The number of the block that a part of the backbone goes back with."""
    if name.startswith(FIRST_NORM):
        return 0
    return int(name.split(".")[1]) if name.startswith("blocks.") else None

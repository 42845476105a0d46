"""Marks that published generators leave in the pixels: DWT-DCT, as Stable Diffusion's programs do.

The format is that of the package invisible-watermark, method `dwtDct`: of the picture's second
channel in YUV the mean of every 2 × 2 pixels is taken (a Haar wavelet's approximation); in each
4 × 4 block of these the largest number but the first carries one bit, by the half of a step of 36
in which it lies; the message is repeated over the picture, block by block. It survives little:
saving as JPEG with a high quality, no resizing and no cropping. So a mark that is found is strong
evidence, and one that is not found says nothing.
"""

from __future__ import annotations

import cv2
import numpy as np

from unmask._internal.words import Words
from unmask.provenance.base import FileUnderCheck
from unmask.types import Floats, Image, Provenance

SMALLEST_PIXELS = 256 * 256
"""Below this the generators' programs write no mark."""

MOST_PIXELS = 4_000_000
"""Of a picture's upper part that are looked at; the message repeats."""

STEP, BLOCK = 36, 4

HALF = 0.7071067811865476
"""The two numbers of a Haar wavelet's low-pass filter."""


def _of_text(text: str) -> str:
    return "".join(f"{byte:08b}" for byte in text.encode())


MESSAGES: dict[str, str] = {
    "Stable Diffusion 1": _of_text("StableDiffusionV1"),
    "Stable Diffusion 2": _of_text("SDV2"),
    "Stable Diffusion XL": "101100111110110010010000011110111011000110011110",
    "FLUX.1": "001010101111111010000111100111001111010100101110",
}
"""Messages as their programs' public sources have them: CompVis/stable-diffusion,
Stability-AI/stablediffusion, Stability-AI/generative-models and huggingface/diffusers,
black-forest-labs/flux."""


def check_generator_marks(file: FileUnderCheck) -> Provenance:
    """The trace `generator_mark`, if the picture carries a known mark."""
    if file.is_video:
        return Provenance()
    found = read_mark(file.image)
    if found is None:
        return Provenance()
    name, matching, length = found
    words = Words(
        "the invisible mark of {generator} lies in the pixels ({n} of {all} bits)",
        generator=name,
        n=matching,
        all=length,
    )
    return Provenance(traces={"generator_mark": words}, ai_generated=True)


def read_mark(image: Image) -> tuple[str, int, int] | None:
    """Which known mark the picture carries, how many of its bits match, and how many it has.

    - image: (height, width, 3) uint8 RGB, as it was saved

    None where there is none, or the picture is too small for one.
    """
    if image.shape[0] * image.shape[1] < SMALLEST_PIXELS:
        return None
    carried = _carried(image)
    for name, message in MESSAGES.items():
        length = len(message)
        errors = int((_decoded(carried, length) != _bits(message)).sum())
        if errors <= allowed_errors(length):
            return name, length - errors, length
    return None


def allowed_errors(length: int) -> int:
    """Errors at which a match is still no chance: a sixteenth of the message.

    Of 32 random bits two or fewer are wrong with a probability of 1.2e-7, of 48 three or fewer with
    6.6e-11. A picture's bits are not random, though; how many real pictures match was measured
    (docs/results.md).
    """
    return length // 16


def _carried(image: Image) -> Floats:
    """The bit that each block carries, in their order: (blocks,) of 0 and 1."""
    height, width = image.shape[:2]
    rows = min(height, MOST_PIXELS // width)
    # whole 8 × 8 pixels of the upper part, whose blocks are numbered as those of the whole are
    rows, columns = rows // 4 * 4, width // 4 * 4
    chroma = cv2.cvtColor(image[:rows, :columns], cv2.COLOR_RGB2YUV)[..., 1].astype(np.float64)
    # rounded as the writers' wavelet rounds: in areas of one colour, that decides which is largest
    means = chroma[0::2] * HALF + chroma[1::2] * HALF
    means = means[:, 0::2] * HALF + means[:, 1::2] * HALF
    down, across = means.shape[0] // BLOCK, means.shape[1] // BLOCK
    blocks = means[: down * BLOCK, : across * BLOCK].reshape(down, BLOCK, across, BLOCK)
    numbers = blocks.transpose(0, 2, 1, 3).reshape(-1, BLOCK * BLOCK)
    largest = np.abs(numbers[:, 1:]).argmax(axis=1) + 1
    values = np.abs(numbers[np.arange(len(numbers)), largest])
    return np.asarray(values % STEP > STEP / 2, np.float32)


def _decoded(carried: Floats, length: int) -> Floats:
    """What most blocks say of each bit of a message of this length: (length,) of 0 and 1."""
    place = np.arange(len(carried)) % length
    votes = np.bincount(place, carried, length) / np.maximum(
        np.bincount(place, minlength=length), 1
    )
    return np.asarray(votes * 255 > 127, np.float32)


def _bits(message: str) -> Floats:
    return np.array([int(bit) for bit in message], np.float32)

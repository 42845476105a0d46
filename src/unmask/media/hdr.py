"""HDR video → sRGB, as a player shows it on an ordinary screen.

ITU-R BT.2100 (the transfer functions PQ and HLG) and BT.2087 (from BT.2020's colours to BT.709's).
Up to three quarters of white nothing changes; what is brighter is compressed smoothly.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from unmask.types import Floats, Image

PQ, HLG = 16, 18
"""Codes of the transfer functions (ITU-T H.273, table 3)."""

TRANSFERS = {PQ: "PQ", HLG: "HLG"}

WHITE = 203.0
"""Candela per square metre that a sheet of white paper has in HDR (ITU-R BT.2408)."""

HLG_PEAK = 1000.0
"""Candela per square metre of the brightest of HLG on the screen that it is made for."""

KNEE = 0.75
"""Light, relative to white paper, above which it is compressed."""

_TO_BT709 = np.array(
    [
        [1.660491, -0.587641, -0.072850],
        [-0.124550, 1.132900, -0.008349],
        [-0.018151, -0.100579, 1.118730],
    ],
    np.float32,
)
"""Linear BT.2020 → linear BT.709 (BT.2087, table 1)."""


def to_srgb(image: np.ndarray, transfer: int) -> Image:
    """(height, width, 3) uint16 RGB of BT.2020 → uint8 sRGB.

    - transfer: PQ or HLG
    """
    linear = _to_linear(transfer)[image >> 4]
    linear = np.maximum(linear @ _TO_BT709.T, 0)
    rest = 1 - KNEE
    bright = KNEE + rest * np.tanh((linear - KNEE) / rest)
    shown = np.where(linear > KNEE, bright, linear)
    return np.asarray(_to_8_bits()[(shown * 4095 + 0.5).astype(np.uint16)])


@cache
def _to_linear(transfer: int) -> Floats:
    """(4096,) of a 12-bit code: light relative to white paper."""
    code = np.arange(4096) / 4095
    if transfer == PQ:
        # BT.2100, table 4
        m1, m2 = 2610 / 16384, 2523 / 4096 * 128
        c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
        power = code ** (1 / m2)
        nits = 10000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
        return (nits / WHITE).astype(np.float32)
    # BT.2100, table 5, with a system gamma of 1.2 on each channel
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    return (HLG_PEAK * scene**1.2 / WHITE).astype(np.float32)


@cache
def _to_8_bits() -> Image:
    """(4096,) of light, relative to the brightest, in sRGB (IEC 61966-2-1)."""
    light = np.arange(4096) / 4095
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(coded * 255 + 0.5, np.uint8)

"""A network in 8 bits gives the same on every processor, with VNNI instructions or without."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers import eight_bit
from helpers.bundles import write_bundle
from unmask._internal import onnx_runtime

SAME = 0.005
"""Largest difference of two probabilities that counts as the same."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("eight") / "eight.onnx"
    canaries = {"seed": 1, "tolerance": 100.0, "logits": [0.0]}
    return write_bundle(path, eight_bit.graph(), canaries=canaries)


def expected() -> np.ndarray:
    return 1 / (1 + np.exp(-eight_bit.exact_logits()))


def test_the_case_is_one_that_saturates_in_16_bits() -> None:
    rows = np.stack([crop.transpose(2, 0, 1).ravel() for crop in eight_bit.crops()]).astype(int)
    products = (rows * eight_bit.weights().astype(int)[:, 0]).reshape(3, -1, 2)
    assert np.abs(products.sum(axis=2)).max() > 2**15
    assert expected().min() > 0.1
    assert expected().max() < 0.9


def test_this_processor_gives_what_exact_arithmetic_gives(bundle: Path) -> None:
    assert eight_bit.probabilities(bundle) == pytest.approx(expected(), abs=SAME)


def test_a_processor_without_vnni_gives_the_same(bundle: Path) -> None:
    """Emulated: one with AVX2, but none of the instructions that later ones have."""
    emulator = shutil.which("qemu-x86_64")
    if emulator is None:
        pytest.skip("qemu-user is not installed")
    packages = [path for path in sys.path if path]
    command = [emulator, "-cpu", "Haswell", os.path.realpath(sys.executable)]
    done = subprocess.run(
        [*command, str(Path(eight_bit.__file__)), str(bundle)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(packages)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert json.loads(done.stdout) == pytest.approx(expected(), abs=SAME)


def test_without_the_option_it_would_not_be_noticed(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the processor saturates, the option is what makes the difference."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if "avx2" not in flags or "vnni" in flags:
        pytest.skip("this processor does not saturate")
    monkeypatch.setattr(onnx_runtime, "_EXACT_8_BITS", {})
    gap = np.abs(np.array(eight_bit.probabilities(bundle)) - expected())
    assert gap.max() > SAME

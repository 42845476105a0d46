"""Run a bundle: face crops → scores and heat maps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeGuard, runtime_checkable

import cv2
import numpy as np

from unmask._internal.atomic import atomic_path
from unmask._internal.onnx_runtime import onnxruntime, open_session
from unmask.bundle.card import Canaries, Card, parse_card
from unmask.bundle.registry import find_bundle
from unmask.bundle.seal import read_seal
from unmask.errors import (
    BundleError,
    BundleFormatError,
    BundleIntegrityError,
    BundleNotFoundError,
    CanaryError,
    DeviceError,
    MissingExtraError,
)
from unmask.faces.alignment import CANONICAL, CANONICAL_SIDE, CropSpec, similarity_transform
from unmask.types import Floats, Image, ModelId

ENGINES = {"onnxruntime": 0.0, "openvino": 0.05}
"""What runs a graph, and how far its logits may lie from the card's canaries beyond their
tolerance. OpenVINO computes in bfloat16 where the processor can, which has eight bits of
precision."""

DEVICES = ("cpu", "cuda", "auto")
"""Where a bundle runs; `auto`: on a CUDA GPU where ONNX Runtime was built for one."""

CUDA = "CUDAExecutionProvider"

MAX_BATCH = 16
"""Faces scored in one call: beyond this the time for one face falls no further on a CPU."""


NOVELTY, VIDEO_LOGIT = FURTHER = ("novelty", "video_logit")
"""Outputs that a graph may have besides `logit` and `heatmap`."""

QUICK = "quick"
"""The input of a graph in two parts that leaves the slow one out. It may be left out itself."""


class Scored(NamedTuple):
    """What a bundle says of n crops.

    - logits: (n,)
    - heatmaps: (n, h, w), or None if they were not asked for
    - novelty: (n,), or None from a bundle that does not measure it
    - video_logits: (n,) in place of `logits` where the crops are frames of a video, or None from a
      bundle that judges videos as it judges pictures
    """

    logits: Floats
    heatmaps: Floats | None
    novelty: Floats | None
    video_logits: Floats | None = None


class Scorer(Protocol):
    """What a detector needs of a bundle."""

    @property
    def id(self) -> ModelId: ...

    @property
    def card(self) -> Card: ...

    def score(self, crops: Sequence[Image], *, explain: bool = False) -> Scored:
        """Score n crops (size, size, 3) uint8 RGB; with heat maps if `explain`."""


@runtime_checkable
class TwoPartScorer(Protocol):
    """A scorer with a slow part that it can leave out.

    - has_quick: whether it has one after all
    """

    has_quick: bool

    def score(
        self, crops: Sequence[Image], *, explain: bool = False, quick: bool = False
    ) -> Scored:
        """As a Scorer's; `quick` leaves the slow part out."""


def has_two_parts(scorer: Scorer) -> TypeGuard[TwoPartScorer]:
    """Whether the scorer has a slow part that can be left out."""
    return isinstance(scorer, TwoPartScorer) and scorer.has_quick


class Bundle:
    """A checked bundle, ready to score.

    - has_quick: whether it can score without its slow part

    Safe to call from several threads.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 0,
        engine: str = "onnxruntime",
        check: bool = True,
        device: str = "cpu",
    ) -> None:
        """Open and check the file: digests, card, graph, canaries.

        - threads: for one call, 0 for all cores
        - engine: one of ENGINES
        - device: one of DEVICES

        Raises BundleNotFoundError, BundleFormatError, BundleIntegrityError or CanaryError, each
        naming the file, MissingExtraError where the engine is not installed, and DeviceError
        where there is no such device.
        """
        if engine not in ENGINES:
            raise ValueError(f"the engine must be one of {', '.join(ENGINES)}, but is {engine!r}")
        try:
            state = _state(path)
            content = path.read_bytes()
        except OSError as error:
            raise BundleNotFoundError(
                f"cannot read the bundle {path}: {error.strerror or error}"
            ) from error
        try:
            self.card = parse_card(read_seal(content))
            self.id = ModelId(
                self.card.name, self.card.version, hashlib.sha256(content).hexdigest()
            )
            # ONNX Runtime reads the file by itself: a large one is not held twice
            del content
            session = _session(path, threads, on_gpu(device))
            if _state(path) != state:
                raise BundleIntegrityError("the file changed while it was opened")
            self._uint8, self._further = _check_graph(session, self.card)
            optional = {value.name for value in session.get_overridable_initializers()}
            self.has_quick = QUICK in optional and engine == "onnxruntime"
            self._run = session.run if engine == "onnxruntime" else _openvino(path, threads)
            if check:
                self._check_canaries(self.card.canaries, ENGINES[engine])
        except BundleError as error:
            raise type(error)(f"{path} is refused: {error}") from error

    def score(
        self, crops: Sequence[Image], *, explain: bool = False, quick: bool = False
    ) -> Scored:
        """Score n crops (size, size, 3) uint8 RGB; with heat maps if `explain`.

        - quick: leave the slow part out, in a bundle that has one. The logits are on the same
          scale; they know less.
        """
        size = self.card.crop.size
        for crop in crops:
            if crop.shape != (size, size, 3) or crop.dtype != np.uint8:
                raise ValueError(
                    f"a crop must be uint8 ({size}, {size}, 3), but got {crop.dtype} {crop.shape}"
                )
        outputs = ["logit", *["heatmap"] * explain, *self._further]
        choice = {QUICK: np.array(True)} if quick and self.has_quick else {}
        batches = [
            self._run(outputs, {"faces": self._input(crops[start : start + MAX_BATCH])} | choice)
            for start in range(0, len(crops), MAX_BATCH)
        ]
        if batches:
            named = {
                name: np.concatenate([batch[place] for batch in batches])
                for place, name in enumerate(outputs)
            }
        else:
            named = {name: np.zeros(0, np.float32) for name in outputs}
            named |= {"heatmap": np.zeros((0, 1, 1), np.float32)} if explain else {}
        return Scored(
            named["logit"], named.get("heatmap"), named.get(NOVELTY), named.get(VIDEO_LOGIT)
        )

    def _input(self, crops: Sequence[Image]) -> Any:
        batch = np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2))  # (n, 3, size, size)
        if self._uint8:
            return batch  # the graph normalises by itself
        mean = np.array(self.card.mean, np.float32).reshape(1, 3, 1, 1)
        std = np.array(self.card.std, np.float32).reshape(1, 3, 1, 1)
        return (batch.astype(np.float32) / 255 - mean) / std

    def _check_canaries(self, canaries: Canaries, slack: float) -> None:
        scored = self.score(canary_crops(canaries.seed, len(canaries.logits), self.card.crop))
        # those for videos, where the card has them, behind those for pictures
        expected = np.array([*canaries.logits, *canaries.video_logits], np.float32)
        logits = scored.logits
        if scored.video_logits is not None:
            logits = np.concatenate([logits, scored.video_logits])[: len(expected)]
        if len(logits) < len(expected):
            raise CanaryError(
                "the card has canaries for videos, but the graph has no output for them"
            )
        gap = np.abs(logits - expected)
        tolerance = canaries.tolerance + slack
        if not bool((gap <= tolerance).all()):  # also refuses NaN
            worst = int(np.nanargmax(gap)) if not np.isnan(gap).all() else 0
            raise CanaryError(
                f"canary {worst} gives the logit {logits[worst]:.4f}, but its maker got"
                f" {expected[worst]:.4f} (allowed difference {tolerance:g}): the preprocessing,"
                " the polarity or the runtime differs"
            )


def write_bundle(sealed: bytes, out: Path) -> None:
    """Write a bundle that opens as every user will open it, or nothing.

    Raises BundleError, OutputError.
    """
    with atomic_path(out) as partial:
        partial.write_bytes(sealed)
        Bundle(partial)  # its canaries are checked before it takes its place


def canary_crops(seed: int, count: int, spec: CropSpec) -> list[Image]:
    """The inputs of the self-test: smooth random patterns, cut out like faces.

    So the cropping is tested as well.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    crops = []
    for number in range(count):
        coarse = rng.integers(0, 256, (14, 14, 3), dtype=np.uint8)
        picture: Any = cv2.resize(coarse, (640, 640), interpolation=cv2.INTER_CUBIC)
        # faces from small to large (the last ones go through area averaging), each turned a little
        side, angle = 90.0 + 150.0 * number, 0.2 * number - 0.3
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[c, s], [-s, c]]) * side / CANONICAL_SIDE
        landmarks = ((CANONICAL - CANONICAL_SIDE / 2) @ turn + 320).astype(np.float32)
        crops.append(spec.cut(picture, similarity_transform(landmarks, spec.target())))
    return crops


def load_bundle(
    name: str, *, threads: int = 0, engine: str = "onnxruntime", device: str = "cpu"
) -> Bundle:
    """A shipped bundle by name, or one's own by path, checked.

    Raises BundleError, MissingExtraError, DeviceError.
    """
    return Bundle(find_bundle(name), threads=threads, engine=engine, device=device)


def on_gpu(device: str) -> bool:
    """Whether bundles run on a CUDA GPU.

    - device: one of DEVICES

    Raises DeviceError where `cuda` is asked for and ONNX Runtime was built without it.
    """
    if device not in DEVICES:
        raise ValueError(f"the device must be one of {', '.join(DEVICES)}, but is {device!r}")
    there = CUDA in onnxruntime.get_available_providers()
    if device == "cuda" and not there:
        raise DeviceError(
            "this build of ONNX Runtime cannot use a GPU: pip uninstall onnxruntime, then pip"
            " install onnxruntime-gpu"
        )
    return there and device != "cpu"


def _state(path: Path) -> tuple[int, int, int]:
    """Which file that is, and since when it is as it is."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _session(path: Path, threads: int, gpu: bool) -> onnxruntime.InferenceSession:
    providers = [*[CUDA] * gpu, "CPUExecutionProvider"]
    # waiting threads sleep instead of spinning: the cores are needed for decoding and finding
    config = {"session.intra_op.allow_spinning": "0"}
    try:
        session = open_session(path, threads=threads, providers=providers, config=config)
    except Exception as error:  # ONNX Runtime's errors share no base
        raise BundleFormatError(
            f"ONNX Runtime cannot load the graph: {str(error).splitlines()[0]}"
        ) from error
    if gpu and CUDA not in session.get_providers():
        # it says nothing when CUDA's libraries are missing, and computes on the processor
        raise DeviceError("ONNX Runtime cannot start CUDA: are its libraries and a GPU there?")
    return session


def _openvino(path: Path, threads: int) -> Callable[[list[str], dict[str, Any]], list[Any]]:
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError("the engine openvino", "openvino") from error
    core = openvino.Core()
    options = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
    }
    compiled = core.compile_model(core.read_model(path), "CPU", options)

    def run(outputs: list[str], inputs: dict[str, Any]) -> list[Any]:
        results = compiled(inputs)  # each call has a request of its own
        return [results[name] for name in outputs]

    return run


def _check_graph(session: onnxruntime.InferenceSession, card: Card) -> tuple[bool, tuple[str, ...]]:
    """Whether the graph takes uint8, and which further outputs it has.

    Raises BundleFormatError unless it has the right input and outputs.
    """
    spec = card.crop
    inputs = {value.name: value for value in session.get_inputs()}
    outputs = {value.name: value for value in session.get_outputs()}
    if set(inputs) != {"faces"} or not {"logit", "heatmap"} <= set(outputs):
        raise BundleFormatError(
            "the graph must take 'faces' and give 'logit' and 'heatmap', but takes"
            f" {sorted(inputs)} and gives {sorted(outputs)}"
        )
    faces = inputs["faces"]
    if faces.type not in ("tensor(uint8)", "tensor(float)"):
        raise BundleFormatError(f"'faces' must be uint8 or float, but is {faces.type}")
    if len(faces.shape) != 4 or list(faces.shape[1:]) != [3, spec.size, spec.size]:
        raise BundleFormatError(
            f"'faces' must be (N, 3, {spec.size}, {spec.size}) as the card says, but is"
            f" {faces.shape}"
        )
    if card.gates.max_novelty < inf and NOVELTY not in outputs:
        raise BundleFormatError(
            "the card has a gate for novelty, but the graph has no output 'novelty'"
        )
    return faces.type == "tensor(uint8)", tuple(name for name in FURTHER if name in outputs)

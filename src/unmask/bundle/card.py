"""The model card: what a bundle says of itself, checked field by field, all faults at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, NamedTuple

from unmask.bundle.calibration import NUMBER, Calibration, read_calibration
from unmask.errors import BundleFormatError
from unmask.faces.alignment import CropSpec
from unmask.types import Pointing, Quality, Reason

SCHEMA = "unmask.card/1"


@dataclass(frozen=True, slots=True)
class ClipThresholds:
    """Probabilities at which a person seen in many frames is called fake, or real.

    A mean over many faces of one person varies less than one face does; but the frames of a clip
    depend on each other, so these are chosen on whole clips, and may be stricter than for one face.

    - min_faces: judged faces from which on they hold
    """

    min_faces: int
    fake: float
    real: float


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Probabilities at which a face is called fake, or real.

    - fake: fake at and above this
    - real: real at and below this
    - false_positive_rate: share of real validation faces at or above `fake`
    - false_negative_rate: share of fake validation faces at or below `real`
    - clip: those for people seen in many frames, where the card has them
    """

    fake: float
    real: float
    false_positive_rate: float
    false_negative_rate: float
    clip: ClipThresholds | None = None

    @property
    def decide(self) -> bool:
        """Whether any probability leads to a verdict; not those of a detector that brings none."""
        return self.fake < 1 or self.real > 0

    def over(self, faces: int) -> Thresholds:
        """The thresholds for the mean over so many judged faces of one person."""
        if self.clip is None or faces < self.clip.min_faces:
            return self
        return replace(self, fake=self.clip.fake, real=self.clip.real, clip=None)

    def of_part(self, faces: int) -> Thresholds:
        """Those for the most suspicious part of a person with so many judged faces.

        A part is called fake no sooner than the whole would be.
        """
        return replace(self, fake=max(self.fake, self.over(faces).fake), clip=None)

    def fake_among(self, looks: float) -> float:
        """The fake threshold where `looks` ≥ 1 chances are taken: its odds, times `looks`.

        One of them is then a false alarm no more often than a single one is at `fake`.

        Bonferroni asks for the rate of `fake` divided by `looks`. The odds of a calibrated
        probability are the ratio of the two densities, so false alarms fall at least as fast as the
        odds rise, unless the tail of fakes is heavier than 1 / odds.
        """
        if looks < 1:
            raise ValueError(f"the number of looks must be at least 1, but is {looks}")
        p = min(max(self.fake, 1e-9), 1 - 1e-9)
        odds = p / (1 - p) * looks
        return odds / (1 + odds)


@dataclass(frozen=True, slots=True)
class Gates:
    """Which faces can be judged, in the units of `unmask.types.Quality`.

    - min_size_px: width and height of the face, at least
    - min_inside: share of the box that lies in the frame, at least
    - min_brightness, max_brightness: mean luma of the crop, 0–255
    - min_sharpness: variance of the Laplacian of the luma, at least
    - max_novelty: how far a face may lie from those of the training; infinite where the bundle
      does not tell
    """

    min_size_px: float
    min_inside: float
    min_brightness: float
    max_brightness: float
    min_sharpness: float
    max_novelty: float = inf

    def refuse(self, quality: Quality) -> Reason | None:
        """Why a face of this quality cannot be judged, or None."""
        faults = {
            Reason.FACE_TOO_SMALL: quality.size_px < self.min_size_px,
            Reason.FACE_CUT_OFF: quality.inside < self.min_inside,
            Reason.FACE_TOO_DARK: quality.brightness < self.min_brightness,
            Reason.FACE_TOO_BRIGHT: quality.brightness > self.max_brightness,
            Reason.FACE_TOO_BLURRED: quality.sharpness < self.min_sharpness,
            Reason.FACE_UNFAMILIAR: (
                quality.novelty is not None and quality.novelty > self.max_novelty
            ),
        }
        return next((reason for reason, there in faults.items() if there), None)


@dataclass(frozen=True, slots=True)
class Canaries:
    """A self-test: inputs made from a seed, and what they must give.

    - seed: of the random inputs
    - tolerance: how far a logit may lie from its value
    - logits: one for each input
    - video_logits: likewise, of a bundle that judges faces in videos otherwise
    """

    seed: int
    tolerance: float
    logits: tuple[float, ...]
    video_logits: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """What a scan needs of the card.

    - name, version: which bundle it is
    - crop: how faces are cut out
    - mean, std: by RGB channel, in units of pixel values over 255
    - calibration: logit → probability
    - thresholds: at which probabilities a face is called fake or real
    - gates: which faces can be judged
    - canaries: its self-test
    - pointing: how well its heat maps point at forged parts, where that was measured and is clearly
      more than the middle of the face does
    - text: the whole card as JSON values
    """

    name: str
    version: str
    crop: CropSpec
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    calibration: Calibration
    thresholds: Thresholds
    gates: Gates
    canaries: Canaries
    pointing: Pointing | None
    text: Mapping[str, Any]


class Field(NamedTuple):
    """What a card must have at a path.

    - kind: str, int, float (any number), list or dict
    - low, high: bounds of a number, both included
    - needed: whether it may be missing
    - equal: the only text that is allowed, or None
    """

    path: str
    kind: type
    low: float = -inf
    high: float = inf
    needed: bool = True
    equal: str | None = None


FIELDS = (
    Field("schema", str, equal=SCHEMA),
    Field("name", str),
    Field("version", str),
    Field("licence", str),
    Field("intended_use", str),
    Field("evaluated_on", str),
    Field("graph_sha256", str),
    Field("limits", list),
    Field("training_data", list),
    Field("made_by", dict),
    Field("metrics", dict),
    # one polarity: the logit rises with the probability of fake
    Field("positive_class", str, equal="fake"),
    Field("preprocessing.colour_order", str, equal="RGB"),
    Field("preprocessing.alignment", str, equal="five_points"),
    Field("preprocessing.mean", list),
    Field("preprocessing.std", list),
    Field("preprocessing.size", int),
    Field("preprocessing.margin", float),
    Field("preprocessing.centre_y", float),
    Field("preprocessing.interpolation", str),
    Field("preprocessing.via", int, needed=False),
    Field("calibration", dict),
    Field("thresholds.fake.probability", float, 0, 1),
    Field("thresholds.real.probability", float, 0, 1),
    Field("thresholds.fake.false_positive_rate", float, 0, 1),
    Field("thresholds.real.false_negative_rate", float, 0, 1),
    Field("thresholds.clip.min_faces", int, 2, needed=False),
    Field("thresholds.clip.fake.probability", float, 0, 1, needed=False),
    Field("thresholds.clip.real.probability", float, 0, 1, needed=False),
    Field("gates.min_size_px", float),
    Field("gates.min_inside", float),
    Field("gates.min_brightness", float),
    Field("gates.max_brightness", float),
    Field("gates.min_sharpness", float),
    Field("gates.max_novelty", float, needed=False),
    Field("heatmaps.parts.faces", int, 1, needed=False),
    Field("heatmaps.parts.pointing", float, 0, 1, needed=False),
    Field("heatmaps.parts.middle", float, 0, 1, needed=False),
    Field("heatmaps.parts.p", float, 0, 1, needed=False),
    Field("canaries.seed", int),
    Field("canaries.tolerance", float, 0),
    Field("canaries.logits", list),
    Field("canaries.video_logits", list, needed=False),
)
"""What is read of a card, in the order in which faults are listed. Cards may have more."""


P_POINTING = 0.001
"""Heat maps are said to point at forged parts if chance does as well no more often than that."""

DECIDING_NOTHING: Mapping[str, Any] = {
    "fake": {"probability": 1.0, "false_positive_rate": 0.0},
    "real": {"probability": 0.0, "false_negative_rate": 0.0},
}
"""A card's `thresholds` where none were chosen."""

REFUSING_NOTHING: Mapping[str, Any] = {
    "min_size_px": 0,
    "min_inside": 0,
    "min_brightness": 0,
    "max_brightness": 255,
    "min_sharpness": 0,
}
"""A card's `gates` where none were chosen."""


def preprocessing(
    spec: CropSpec,
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
) -> dict[str, Any]:
    """A card's part `preprocessing`, for a network that normalises by itself."""
    return {
        "size": spec.size,
        "margin": spec.margin,
        "centre_y": spec.centre_y,
        "interpolation": spec.interpolation,
        **({"via": spec.via} if spec.via else {}),
        "alignment": "five_points",
        "colour_order": "RGB",
        "mean": list(mean),
        "std": list(std),
        "normalised": "in the graph",
    }


def parse_card(tree: Mapping[str, Any]) -> Card:
    """The card of a JSON object.

    Raises BundleFormatError that lists every fault.
    """
    faults: list[str] = []
    values: dict[str, Any] = {}
    for field in FIELDS:
        value = _value_at(tree, field.path)
        fault = _fault(field, value)
        if fault is not None:
            faults.append(fault)
            value = _STAND_INS[field.kind]  # so that what follows can be checked as well
        values[field.path] = value

    crop = _crop(values, faults)
    mean = _triple("mean", values["preprocessing.mean"], faults)
    std = _triple("std", values["preprocessing.std"], faults)
    calibration = read_calibration(values["calibration"], faults)
    thresholds = Thresholds(
        fake=values["thresholds.fake.probability"],
        real=values["thresholds.real.probability"],
        false_positive_rate=values["thresholds.fake.false_positive_rate"],
        false_negative_rate=values["thresholds.real.false_negative_rate"],
        clip=_clip_thresholds(values, faults),
    )
    if thresholds.real > thresholds.fake:
        faults.append(
            f"thresholds.real ({thresholds.real}) lies above thresholds.fake ({thresholds.fake})"
        )
    max_novelty = values["gates.max_novelty"]
    gates = Gates(
        min_size_px=values["gates.min_size_px"],
        min_inside=values["gates.min_inside"],
        min_brightness=values["gates.min_brightness"],
        max_brightness=values["gates.max_brightness"],
        min_sharpness=values["gates.min_sharpness"],
        max_novelty=inf if max_novelty is None else max_novelty,
    )
    logits = values["canaries.logits"]
    video_logits = values["canaries.video_logits"] or []
    for name, given in (("logits", logits), ("video_logits", video_logits or logits)):
        if not given or not all(isinstance(value, NUMBER) for value in given):
            faults.append(f"canaries.{name} must be a list of numbers, but is {given!r:.60}")
    if video_logits and len(video_logits) != len(logits):
        faults.append(
            f"canaries.video_logits must be as many as logits, but are {video_logits!r:.60}"
        )
    canaries = Canaries(
        values["canaries.seed"],
        values["canaries.tolerance"],
        tuple(logits),
        tuple(video_logits),
    )
    if faults or crop is None:
        raise BundleFormatError(f"the card has {len(faults)} fault(s): " + "; ".join(faults))
    return Card(
        name=values["name"],
        version=values["version"],
        crop=crop,
        mean=mean,
        std=std,
        calibration=calibration,
        thresholds=thresholds,
        gates=gates,
        canaries=canaries,
        pointing=_pointing(values),
        text=tree,
    )


_STAND_INS: Mapping[type, Any] = {str: "", int: 0, float: 0, list: [], dict: {}}


def _value_at(tree: Mapping[str, Any], path: str) -> Any:
    """What the card has at `a.b.c`; None where there is nothing."""
    value: Any = tree
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _fault(field: Field, value: Any) -> str | None:
    """What is wrong with a value, or None."""
    if value is None:
        return f"{field.path} is missing" if field.needed else None
    kind = NUMBER if field.kind is float else field.kind
    if not isinstance(value, kind) or isinstance(value, bool):
        return f"{field.path} has the wrong type: {value!r:.60}"
    if isinstance(value, NUMBER) and not field.low <= value <= field.high:
        return f"{field.path} must be {field.low} to {field.high}, but is {value}"
    if field.equal is not None and value != field.equal:
        return f"{field.path} must be {field.equal!r}, but is {value!r}"
    return None


def _clip_thresholds(values: Mapping[str, Any], faults: list[str]) -> ClipThresholds | None:
    parts = ("min_faces", "fake.probability", "real.probability")
    given = {part: values[f"thresholds.clip.{part}"] for part in parts}
    missing = [part for part, value in given.items() if value is None]
    if len(missing) == len(parts):
        return None
    if missing:
        faults += [f"thresholds.clip.{part} is missing" for part in missing]
        return None
    clip = ClipThresholds(*given.values())
    if clip.real > clip.fake:
        faults.append(
            f"thresholds.clip.real ({clip.real}) lies above thresholds.clip.fake ({clip.fake})"
        )
    return clip


def _pointing(values: Mapping[str, Any]) -> Pointing | None:
    """What is known of the heat maps; None where that is no more than chance."""
    faces, rate, middle, p = (
        values[f"heatmaps.parts.{name}"] for name in ("faces", "pointing", "middle", "p")
    )
    if None in (faces, rate, middle, p) or rate <= middle or p > P_POINTING:
        return None
    return Pointing(faces, rate, middle)


def _crop(values: Mapping[str, Any], faults: list[str]) -> CropSpec | None:
    try:
        return CropSpec(
            values["preprocessing.size"],
            values["preprocessing.margin"],
            values["preprocessing.centre_y"],
            values["preprocessing.interpolation"],
            values["preprocessing.via"],
        )
    except ValueError as error:
        faults.append(f"preprocessing: {error}")
        return None


def _triple(name: str, values: Sequence[Any], faults: list[str]) -> tuple[float, float, float]:
    """Mean or std, for red, green and blue."""
    numbers = all(isinstance(value, NUMBER) for value in values)
    if len(values) != 3 or not numbers or (name == "std" and 0 in values):
        faults.append(f"preprocessing.{name} must be three numbers (std: not 0), but is {values}")
        return (0.0, 0.0, 0.0)
    red, green, blue = values
    return (red, green, blue)

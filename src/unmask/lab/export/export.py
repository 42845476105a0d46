"""A trained run → a bundle: ONNX graph, calibration, thresholds, gates, canaries, measured card."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unmask.bundle import Bundle, load_bundle, seal
from unmask.bundle.card import DECIDING_NOTHING, REFUSING_NOTHING, SCHEMA, preprocessing
from unmask.bundle.registry import find_bundle
from unmask.bundle.session import canary_crops, write_bundle
from unmask.detector import Detector
from unmask.errors import LabError
from unmask.faces import find_main_face, load_finder
from unmask.faces.alignment import CropSpec, crop_face, measure_quality
from unmask.lab.data.manifest import Item, read_manifests, require_both_classes, select
from unmask.lab.data.samples import find_samples
from unmask.lab.evaluation.by_column import NOT_GIVEN, require_column
from unmask.lab.evaluation.evaluate import measure, score_items
from unmask.lab.evaluation.metrics import Array
from unmask.lab.explanation.pointing_game import POINTED, measure_for_card
from unmask.lab.export.clips import choose_clip_thresholds, score_clips
from unmask.lab.export.thresholds import Faces, Rules, choose
from unmask.lab.models.from_bundle import average, unfold
from unmask.lab.models.network import Network
from unmask.lab.models.novelty import NetworkWithNovelty, statistics_of, with_novelty
from unmask.lab.models.onnx_export import exported
from unmask.lab.recipe import Data, Recipe, ThresholdRules
from unmask.lab.training.augment import pixels
from unmask.lab.training.checkpoint import load_run
from unmask.lab.training.train import command_line
from unmask.types import Image

CANARY_SEED, CANARIES = 20_261_121, 4
TOLERANCE_FLOAT, TOLERANCE_INT8 = 0.02, 0.15


def export_run(
    run: Path,
    out: Path,
    data: Sequence[Path],
    test: Sequence[Path],
    *,
    int8: bool = False,
    toward: Path | None = None,
    share: float = 0.3,
    clips: Sequence[Path] = (),
    mean_with: Sequence[Path] = (),
    by: Sequence[str] = (),
) -> None:
    """Write the bundle of `run` to `out`.

    - data: manifests whose validation split chooses calibration, thresholds and gates, together
      with all rows of the data sets that the recipe leaves out
    - test: manifests whose test split (all rows where they have none) is measured for the card,
      each row as a face crop
    - toward: a bundle, that which the run went on from; the weights are moved by `share` of the way
      to its (`unfold.average`)
    - clips: manifests of videos whose validation split chooses the thresholds for clips
    - mean_with: other runs that went on from the same network; the mean of all weights is taken
      (Wortsman et al., "Model soups", ICML 2022)
    - by: columns of the test manifests by which the card gives rates of errors (`by_column`)

    Raises LabError, ManifestError for a column that no test row has, or OutputError.
    """
    recipe, network, facts = load_run(run)
    others = [load_run(other) for other in mean_with]
    if others:
        _take_mean(network, [other for _, other, _ in others], recipe.crop.size)
    if toward is not None:
        _move(network, toward, share, recipe.crop.size)
    items = read_manifests(data)
    left_out = set(recipe.data.leave_out)
    validation = select(items, recipe.data.validation, left_out)
    validation += [item for item in items if item.dataset in left_out]
    require_both_classes(validation, f"split {recipe.data.validation!r}")
    faces = cut_faces(validation, recipe.crop.spec())
    whole: torch.nn.Module = network
    if recipe.gates.novelty:
        whole = with_known(network, faces, recipe)
    graph = to_onnx(whole, recipe.crop.size)
    if int8:
        graph = quantise(graph, faces.crops)
    card = _card(recipe, network, facts)
    if toward is not None:
        base = Bundle(toward).id
        card["made_by"]["averaged_with"] = {
            "name": base.name,
            "version": base.version,
            "share": share,
        }
    if others:
        card["made_by"]["mean_with"] = [
            made_by_run(other_recipe, other_facts) for other_recipe, _, other_facts in others
        ]
    card["made_by"]["quantised"] = "int8, weights and activations, QDQ" if int8 else "no"
    tolerance = TOLERANCE_INT8 if int8 else TOLERANCE_FLOAT
    write_bundle(finish(graph, card, faces, Rules.of(recipe), test, tolerance, clips, by=by), out)


def with_known(network: Network, faces: Faces, recipe: Recipe) -> NetworkWithNovelty:
    """The network with novelty: known is what training makes of the validation faces."""
    rng = np.random.default_rng(recipe.train.seed)
    shown = faces.crops
    if recipe.augment is not None:
        shown = [pixels(crop, recipe.augment, rng) for crop in faces.crops]
    return with_novelty(
        network,
        statistics_of(network, shown),
        statistics_of(network, faces.crops),
        faces.datasets,
        recipe.gates.outside,
        recipe.thresholds.smallest_set,
    )


def _take_mean(network: Network, others: Sequence[Network], size: int) -> None:
    """Give the network the mean of its weights and the others', which have the same shape."""
    mean = to_onnx(network, size)
    for number, other in enumerate(others, start=2):
        mean = average(mean, to_onnx(other, size), 1 / number)
    _unfold(network, mean)


def _move(network: Network, toward: Path, share: float, size: int) -> None:
    """Move the network's weights by `share` of the way to those of the bundle."""
    bundle = find_bundle(str(toward)).read_bytes()
    _unfold(network, average(to_onnx(network, size), bundle, share))


def _unfold(network: Network, graph: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="unmask-") as folder:
        between = Path(folder) / "between.onnx"
        between.write_bytes(graph)
        unfold(network, between)


def finish(
    graph: bytes,
    card: dict[str, Any],
    faces: Faces,
    rules: Rules,
    test: Sequence[Path],
    tolerance: float,
    clips: Sequence[Path] = (),
    logits: Array | None = None,
    by: Sequence[str] = (),
) -> bytes:
    """The sealed bundle of a graph and the beginning of its card.

    Calibration, thresholds and gates are chosen on the validation faces, those for clips on the
    validation split of `clips`, canaries hold within `tolerance`, and the test manifests are
    measured.

    - card: if it has gates, they are kept
    - logits: what the graph says of the validation faces, where that is known already
    - by: columns of the test manifests by which rates of errors are given
    """
    card = card | {"canaries": {"seed": CANARY_SEED, "tolerance": tolerance}}
    if logits is None:
        logits = open_graph(graph, card | _provisional(card)).score(faces.crops).logits
    card |= choose(faces, logits, rules, card.get("gates"))
    where = card["preprocessing"]
    spec = CropSpec(
        where["size"], where["margin"], where["centre_y"], where["interpolation"], where.get("via")
    )
    canaries = canary_crops(CANARY_SEED, CANARIES, spec)
    expected = open_graph(graph, card | _provisional(card)).score(canaries).logits
    card["canaries"]["logits"] = [round(float(v), 5) for v in expected]
    if clips:
        card["thresholds"]["clip"] = _clip_thresholds(
            open_graph(graph, card | {"metrics": {}}),
            clips,
            rules.split,
            rules.thresholds.clip_misses,
        )
    card["metrics"] = {}
    if test:
        card |= figures(open_graph(graph, card), test, by)
    return seal(graph, card)


def figures(bundle: Bundle, test: Sequence[Path], by: Sequence[str] = ()) -> dict[str, Any]:
    """What a card says of the test faces: `metrics` by data set, and `by_column` if asked for.

    Also `heatmaps`, where the bundle has such and there are two real faces.

    - test: manifests; of data sets with a test split that split, of others all rows
    - by: columns of the manifests by which rates of errors are given

    Raises ManifestError where no row has such a column.
    """
    items = read_manifests(test)
    held_out = {item.dataset for item in items if item.split == "test"}
    items = [item for item in items if item.split == "test" or item.dataset not in held_out]
    for column in by:
        require_column(items, column)
    detector = Detector(bundle, load_finder("yunet"))
    measured = measure(detector, items, score_items(detector, items, crops=True), by)
    card: dict[str, Any] = {"metrics": measured["datasets"]}
    reals = [item for item in items if not item.label]
    chosen = np.random.default_rng(0).permutation(len(reals))[:POINTED]
    faces = find_samples([reals[row] for row in sorted(chosen)], jobs=1).samples
    if len(faces) > 1 and (pointing := measure_for_card(bundle, faces)) is not None:
        card["heatmaps"] = pointing
    if by:
        card["by_column"] = {
            column: [row for row in rows if row["value"] != NOT_GIVEN]
            for column, rows in measured["by_column"].items()
        }
    return card


@dataclass(frozen=True, slots=True)
class Anew:
    """What of a card is measured or chosen anew.

    - test, by: as of `figures`; without any, the card keeps the figures it had
    - clips: manifests of videos whose validation split chooses the thresholds for clips; without
      any, they stay as well
    - version: of the new card, for those who keep both
    """

    test: Sequence[Path] = ()
    by: Sequence[str] = ()
    clips: Sequence[Path] = ()
    version: str | None = None


def measure_again(model: str, anew: Anew, out: Path) -> None:
    """A bundle whose card is measured now, in place of what it said before.

    - model: a bundle's name or file; its network, its calibration and the thresholds for one face
      stay as they are
    - out: the file to write

    Raises BundleError, LabError for too few clips, ManifestError or OutputError.
    """
    content = find_bundle(model).read_bytes()
    card = measured_card(load_bundle(model), anew)
    write_bundle(seal(content, card), out)


def measured_card(bundle: Bundle, anew: Anew) -> dict[str, Any]:
    """The bundle's card, with what is to be measured or chosen anew."""
    card = dict(bundle.card.text)
    if anew.clips and "videos" in card:
        raise LabError(
            f"{bundle.id.name} learnt from clips, so its thresholds for clips would come out too"
            " bold: choose them by `unmask models learn-videos`, whose heads did not see the clips"
        )
    if anew.clips:
        clip = _clip_thresholds(bundle, anew.clips, Data().validation, ThresholdRules().clip_misses)
        card["thresholds"] = card["thresholds"] | {"clip": clip}
    if anew.test:
        card.pop("by_column", None)
        card.pop("heatmaps", None)
        card |= figures(bundle, anew.test, anew.by)
        card["evaluated_on"] = datetime.date.today().isoformat()
    card["version"] = anew.version or card["version"]
    return card


def _clip_thresholds(
    bundle: Bundle, clips: Sequence[Path], split: str, misses: float
) -> dict[str, Any]:
    videos = select(read_manifests(clips), split)
    scores = score_clips(Detector(bundle, load_finder("yunet")), videos)
    return choose_clip_thresholds(scores, misses)


def cut_faces(items: Sequence[Item], spec: CropSpec) -> Faces:
    """The main face of each item, cut as `spec` says; items without one are left out."""
    finder = load_finder("yunet")
    rows = []
    for item in items:
        image = item.decode()
        face = find_main_face(finder, image)
        if face is not None:
            crop = crop_face(image, face, spec)
            quality = measure_quality(crop, face.box, image.shape[:2])
            bright, sharp = quality.brightness, quality.sharpness
            rows.append((crop, item.label, item.dataset, bright, sharp, item.group))
    if not rows:
        raise LabError("no face was found in any picture of the validation split")
    crops, *columns = zip(*rows, strict=True)
    return Faces(list(crops), *map(np.array, columns))


def to_onnx(network: torch.nn.Module, size: int) -> bytes:
    """The graph, with normalisation inside: faces (N, 3, size, size) uint8 RGB → outputs.

    logit (N,), heatmap (N, h, w), and novelty (N,) where the network measures it.
    """
    outputs = ["logit", "heatmap", *["novelty"] * isinstance(network, NetworkWithNovelty)]
    return exported(network, torch.zeros(2, 3, size, size, dtype=torch.uint8), outputs)


def quantise(graph: bytes, crops: Sequence[Image], count: int = 256) -> bytes:
    """The graph with 8-bit weights (by channel) and activations.

    Their ranges are taken from `count` crops.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    import unmask._internal.onnx_runtime  # noqa: F401  # before anything of ONNX Runtime

    chosen = np.random.default_rng(0).choice(len(crops), min(count, len(crops)), replace=False)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = iter(np.array_split(chosen, max(1, len(chosen) // 16)))

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._batches, None)
            return (
                None
                if batch is None
                else {"faces": np.stack([crops[i].transpose(2, 0, 1) for i in batch])}
            )

    with tempfile.TemporaryDirectory(prefix="unmask-") as folder:
        plain, ready, small = (
            Path(folder) / name for name in ("plain.onnx", "ready.onnx", "small.onnx")
        )
        plain.write_bytes(graph)
        quant_pre_process(plain, ready)
        quantize_static(
            ready,
            small,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv"],
        )
        return small.read_bytes()


def open_graph(graph: bytes, card: Mapping[str, Any]) -> Bundle:
    """The bundle of a graph and a card; its canaries are not checked."""
    with tempfile.TemporaryDirectory(prefix="unmask-") as folder:
        path = Path(folder) / "bundle.onnx"
        path.write_bytes(seal(graph, dict(card)))
        return Bundle(path, check=False)


def _card(recipe: Recipe, network: Network, facts: dict[str, Any]) -> dict[str, Any]:
    mean, std = (
        [round(float(v) / 255, 6) for v in buffer.flatten().tolist()]
        for buffer in (network.mean, network.std)
    )
    card_words = recipe.card
    return {
        "schema": SCHEMA,
        "name": recipe.name,
        "version": card_words.version,
        "licence": card_words.licence,
        "made_by": {
            "recipe": recipe.name,
            "backbone": recipe.model.backbone,
            "weights": Path(recipe.model.weights).name,
            **({"pseudo_fakes": recipe.pseudo_fakes.model_dump()} if recipe.pseudo_fakes else {}),
            **made_by_run(recipe, facts),
            "best_validation_auc": facts["best_validation_auc"],
        },
        "positive_class": "fake",
        "preprocessing": preprocessing(recipe.crop.spec(), mean, std),
        "training_data": facts["counts"],
        "training_data_terms": card_words.training_data_terms,
        "intended_use": card_words.intended_use,
        "limits": list(card_words.limits),
        "evaluated_on": datetime.date.today().isoformat(),
    }


def made_by_run(recipe: Recipe, facts: dict[str, Any]) -> dict[str, Any]:
    """What a card says of the run that it comes from, in its part `made_by`."""
    return {
        "command": facts["command"],
        "exported_by": command_line(),
        "commit": facts["commit"],
        "seed": recipe.train.seed,
        "images_seen": facts["images_seen"],
        "leak": facts["leak"] or "none found",
    }


def _provisional(card: dict[str, Any]) -> dict[str, Any]:
    """What a card needs to be opened before its figures are known."""
    return {
        "calibration": {"method": "temperature", "temperature": 1.0},
        "thresholds": DECIDING_NOTHING,
        "gates": REFUSING_NOTHING,
        "canaries": card["canaries"] | {"logits": [0.0]},
        "metrics": {},
    }

from __future__ import annotations

from pathlib import Path

import pytest

from unmask.errors import RecipeError
from unmask.lab.recipe import load_recipe, shipped_recipes


def test_every_shipped_recipe_is_without_faults_and_opens_with_its_header() -> None:
    assert "unmask-lite0" in shipped_recipes()
    for name, path in shipped_recipes().items():
        assert load_recipe(name).name == name
        header = [line for line in path.read_text().splitlines() if line.startswith("#")]
        for word in ("Command:", "Hardware:", "Time:", "Result:"):
            assert any(word in line for line in header), f"{name} lacks {word} in its header"


def test_overrides() -> None:
    recipe = load_recipe(
        "unmask-lite0", ["train.batch=8", "data.weights={a: 1.5}", "augment.scale=[1, 1]"]
    )
    assert recipe.train.batch == 8
    assert recipe.data.weights == {"a": 1.5}
    assert recipe.augment.scale == (1, 1)


def test_all_faults_at_once() -> None:
    with pytest.raises(RecipeError, match=r"3 fault\(s\)") as caught:
        load_recipe("unmask-lite0", ["train.batch=many", "model.colour=blue", "crop.margin=-1"])
    for part in ("train.batch", "model.colour", "crop.margin", "'many'", "'blue'"):
        assert part in str(caught.value)


def test_parts_that_do_not_fit_each_other() -> None:
    with pytest.raises(RecipeError, match=r"smallest_px \(64\) must be below crop.size \(48\)"):
        load_recipe("unmask-lite0", ["crop.size=48"])
    with pytest.raises(RecipeError, match="at least one batch"):
        load_recipe("unmask-lite0", ["train.images=100"])


@pytest.mark.parametrize("override", ["train.batch", "=3", "name.sub=1"])
def test_bad_overrides(override: str) -> None:
    with pytest.raises(RecipeError):
        load_recipe("unmask-lite0", [override])


def test_what_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"shipped ones: .*unmask-lite0"):
        load_recipe("nonesuch")
    (tmp_path / "a.yaml").write_text("- a list")
    with pytest.raises(RecipeError, match="expected a mapping"):
        load_recipe(str(tmp_path / "a.yaml"))
    (tmp_path / "b.yaml").write_text("a: [")
    with pytest.raises(RecipeError, match="as YAML"):
        load_recipe(str(tmp_path / "b.yaml"))


def test_an_early_head_lies_before_the_last_block() -> None:
    shipped = load_recipe("unmask-clip-base")
    assert shipped.early_head is not None
    assert shipped.early_head.block == 7
    with pytest.raises(RecipeError, match=r"early_head.block \(8, .* last of model.depth \(9\)"):
        load_recipe("unmask-clip-base", ["early_head.block=8"])
    assert load_recipe("unmask-clip-base", ["early_head=null"]).early_head is None


def test_the_way_back_has_a_share_for_each_block() -> None:
    with pytest.raises(RecipeError, match=r"one share for each of model.depth \(9\).* not 2"):
        load_recipe("unmask-clip-base", ["way_back=[0.5, 0.5]"])
    with pytest.raises(RecipeError, match="way_back"):
        load_recipe("unmask-clip-base", ["way_back=[0, 0, 0, 0, 0, 0, 0, 0, 1.5]"])
    assert load_recipe("unmask-clip-base", ["way_back=null"]).way_back is None


def test_images_or_epochs() -> None:
    assert load_recipe("unmask-lite0", ["train.images=null", "train.epochs=2"]).train.epochs == 2
    for changes in (["train.epochs=2"], ["train.images=null"]):
        with pytest.raises(RecipeError, match="either images or epochs"):
            load_recipe("unmask-lite0", changes)
    with pytest.raises(RecipeError, match=r"accumulate \(3\) must divide train.batch \(32\)"):
        load_recipe("unmask-lite0", ["train.accumulate=3"])


def test_no_augmentation_at_all() -> None:
    assert load_recipe("unmask-lite0", ["augment=null"]).augment is None

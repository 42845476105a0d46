"""`import unmask`, the words and the errors."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

import unmask
from unmask import errors, types
from unmask.types import Frame, Label, Reason


def test_all_is_sorted_and_whole() -> None:
    assert list(unmask.__all__) == sorted(unmask.__all__)
    for name in unmask.__all__:
        assert getattr(unmask, name) is not None


def test_unknown_names_are_told() -> None:
    with pytest.raises(AttributeError, match="nonesuch"):
        _ = unmask.nonesuch


def test_the_error_tree_is_drawn_as_it_is() -> None:
    classes = {
        name: c
        for name, c in vars(errors).items()
        if isinstance(c, type) and issubclass(c, errors.UnmaskError)
    }
    parents: list[tuple[int, str]] = []
    drawn = {}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"^( {4}[│├└─ ]*)(\w+Error)\b", line):
            depth, name = len(match[1]), match[2]
            parents = [(d, n) for d, n in parents if d < depth]
            drawn[name] = parents[-1][1] if parents else "Exception"
            parents.append((depth, name))
    assert drawn == {name: c.__bases__[0].__name__ for name, c in classes.items()}


def test_kinds_of_media_errors_differ() -> None:
    kinds = [c.kind for c in (errors.MediaError, *errors.MediaError.__subclasses__())]
    assert len(kinds) == len(set(kinds))


def test_words_are_frozen() -> None:
    words = [c for c in vars(types).values() if isinstance(c, type) and dataclasses.is_dataclass(c)]
    assert len(words) >= 10
    for word in words:
        assert word.__dataclass_params__.frozen, word


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), float)]
)
def test_a_frame_is_rgb_uint8(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"\(height, width, 3\)"):
        Frame(0, 0.0, image)


def test_a_frame_is_read_only() -> None:
    frame = Frame(0, 0.0, np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        frame.image[0, 0] = 1


def test_there_are_four_labels() -> None:
    assert [str(label) for label in Label] == ["real", "fake", "inconclusive", "not_applicable"]
    assert len({str(reason) for reason in Reason}) == len(Reason)


def test_every_error_comes_back_from_a_worker_process() -> None:
    import inspect
    import pickle

    from unmask import errors

    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.UnmaskError):
            made = kind("mtcnn", "finders") if name == "MissingExtraError" else kind("why")
            assert str(pickle.loads(pickle.dumps(made))) == str(made), name

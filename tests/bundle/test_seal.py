from __future__ import annotations

import json

import onnx
import pytest

from helpers.bundles import brightness_graph
from unmask.bundle import read_seal, seal
from unmask.errors import BundleError, BundleFormatError, BundleIntegrityError
from unmask.testing import example_card


def test_what_is_sealed_is_read_again_and_is_still_onnx() -> None:
    file = seal(brightness_graph(), example_card(name="mine"))
    assert read_seal(file)["name"] == "mine"
    model = onnx.load_from_string(file)
    onnx.checker.check_model(model)
    assert {entry.key for entry in model.metadata_props} == {"unmask.card", "unmask.card.sha256"}


def test_sealing_again_replaces_the_card_and_keeps_other_metadata() -> None:
    model = onnx.load_from_string(brightness_graph())
    model.metadata_props.add(key="author", value="somebody")
    once = seal(model.SerializeToString(), example_card(name="one"))
    twice = seal(once, example_card(name="two"))
    assert read_seal(twice)["name"] == "two"
    assert [e.key for e in onnx.load_from_string(twice).metadata_props].count("unmask.card") == 1
    assert read_seal(once)["graph_sha256"] == read_seal(twice)["graph_sha256"]
    assert any(entry.key == "author" for entry in onnx.load_from_string(twice).metadata_props)


def test_every_single_changed_byte_is_noticed() -> None:
    file = seal(brightness_graph(), {"schema": "x", "name": "small"})
    for place in range(len(file)):
        changed = bytearray(file)
        changed[place] ^= 0x01
        with pytest.raises(BundleError):
            read_seal(bytes(changed))


def test_every_truncation_is_noticed() -> None:
    file = seal(brightness_graph(), {"schema": "x"})
    for length in range(0, len(file), 7):
        with pytest.raises(BundleError):
            read_seal(file[:length])


def test_the_message_says_whether_card_or_graph_was_changed() -> None:
    file = seal(brightness_graph(), example_card(name="honest"))
    with pytest.raises(BundleIntegrityError, match="the card was changed"):
        read_seal(file.replace(b'"honest"', b'"forged"'))
    with pytest.raises(BundleIntegrityError, match="the graph was changed"):
        read_seal(file.replace(b"AveragePool", b"AveragePooI"))


def test_a_plain_onnx_file_has_no_card() -> None:
    with pytest.raises(BundleFormatError, match="no card"):
        read_seal(brightness_graph())


def test_a_card_without_its_digest_is_refused() -> None:
    model = onnx.load_from_string(brightness_graph())
    model.metadata_props.add(key="unmask.card", value=json.dumps(example_card()))
    with pytest.raises(BundleFormatError, match="not sealed"):
        read_seal(model.SerializeToString())


@pytest.mark.parametrize("junk", [b"", b"no model at all", b"\xff" * 40, b"\x0a", b"<html></html>"])
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(BundleFormatError):
        read_seal(junk)

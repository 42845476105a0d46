"""Examples below the help of commands. The sign \\b keeps the lines of a paragraph as they are."""

from __future__ import annotations


def _examples(*lines: str) -> str:
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


SCAN = _examples(
    "unmask scan photo.jpg clip.mp4",
    "unmask scan https://example.org/clip.mp4",
    "unmask scan --report out/ clip.mp4",
    "unmask scan --json folder/ > verdicts.jsonl",
    "unmask scan footage/ --ledger footage.ledger",
)
SERVE = _examples(
    "unmask serve --open",
    "unmask serve --host 0.0.0.0 --keys keys.txt --keep 3600",
)
MCP = _examples("unmask mcp --folder footage/")
REGRESS = _examples(
    "unmask regress known.jsonl --add photo.jpg --expected real",
    "unmask regress known.jsonl --model mine.onnx",
)
EVALUATE = _examples(
    "unmask evaluate default --data test.parquet --crops --out figures/",
    "unmask evaluate default mine.onnx --data test.parquet --crops --out figures/",
    "unmask evaluate default theirs.csv --data test.parquet --out figures/ --leaderboard board.csv",
    "unmask evaluate unmask-lite0 --leave-out source --data all.parquet --out left-out/",
)
TRAIN = _examples(
    "unmask train unmask-lite0 --data crops/ --out runs/first",
    "unmask train unmask-lite0 --data crops/ --set train.epochs=3 --out runs/short",
)
EXPORT = _examples("unmask export runs/first --data crops/ --out mine.onnx")
TUNE = _examples(
    "unmask tune default --add new_fakes/ --core faces.parquet --run runs/tuned --out mine.onnx"
)
WRAP = _examples(
    "unmask models wrap theirs.onnx --positive fake --data labelled.parquet --out wrapped.onnx",
    "unmask models wrap xception.safetensors --timm legacy_xception --positive fake"
    " --data labelled.parquet --out wrapped.onnx",
    "unmask models wrap folder-of-the-hub/ --data labelled.parquet --out wrapped.onnx",
)
EXPLAIN = _examples("unmask explain runs/first picture.jpg --out maps/")

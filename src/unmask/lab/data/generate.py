"""Fake faces generated on the spot, and framed and encoded like real pictures.

The generator is a network that an installed package carries.

A generator's own pictures are all of one size, framing and sharpness, and a detector told to find
them learns that. So each is given the place of a real picture: turned and scaled until its
landmarks lie on the real face's, cut to the same width and height, and encoded with the same
format, JPEG tables and chroma sampling. What still tells them apart without a face is that they
hold less detail and noise (docs/experiments.md).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import JpegImagePlugin

from unmask._internal.packaged_files import carried_file
from unmask.errors import LabError, MissingExtraError
from unmask.faces import FaceFinder, find_main_face
from unmask.faces.alignment import similarity_transform, warp
from unmask.lab.data.manifest import Item
from unmask.lab.data.samples import Sample
from unmask.types import Floats, Image

Faces = Callable[[int], Image]
"""Seed → a picture with one generated face, (h, w, 3) uint8 RGB; the same for the same seed."""

TRUNCATION = (0.5, 1.0)
"""How far from the mean face styles are drawn (Karras et al., CVPR 2019, section 2.1): below it
faces are all alike, above it they fall apart."""

TRIES = 5
"""Generated pictures that may show no face, one after the other, before the generator is given up
on."""


def generate(
    faces: Faces, name: str, likes: Sequence[Sample], count: int, finder: FaceFinder, seed: int = 0
) -> Iterator[Item]:
    """`count` fakes, each in the place of one of `likes`.

    - name: of the generator

    `likes` are gone through in an order drawn by the seed, again and again if they are fewer.

    The split is the real picture's.

    Raises LabError where the generator shows no faces.
    """
    if not likes:
        raise LabError("there are no real pictures to make generated faces like")
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(likes)) for _ in range(-(-count // len(likes)))])[
        :count
    ]
    for number, place in enumerate(order):
        like = likes[place]
        for attempt in range(TRIES):
            style = (seed * 1_000_003 + number) * TRIES + attempt
            picture = faces(style)
            face = find_main_face(finder, picture)
            if face is not None and face.landmarks is not None:
                break
        else:
            raise LabError(
                f"{name} made {TRIES} pictures without a face that can be found, one after the"
                " other"
            )
        yield Item(
            name=f"{name}-{style}",
            label=1,
            dataset=name,
            split=like.item.split,
            group=f"{name}-{style}",
            method=name,
            data=wrap_like(picture, face.landmarks, like),
            landmarks=tuple(float(v) for v in like.landmarks.ravel()),
        )


def wrap_like(picture: Image, landmarks: Floats, like: Sample) -> bytes:
    """`picture` in the place of a real one: framed, sized and encoded as `like` is.

    - landmarks: (5, 2), of its face
    """
    source = (
        like.item.data if like.item.data is not None else Path(like.item.path or "").read_bytes()
    )
    with PillowImage.open(io.BytesIO(source)) as real:
        width, height = real.size
        options: dict[str, Any] = {"format": real.format}
        if isinstance(real, JpegImagePlugin.JpegImageFile):
            options |= {
                "qtables": real.quantization,
                "subsampling": JpegImagePlugin.get_sampling(real),
            }
            options |= {"progressive": bool(real.info.get("progressive")), "optimize": False}
    pad = max(picture.shape[:2]) // 2  # a mirror, where the real picture shows more around the face
    padded: Any = cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_REFLECT_101)
    matrix = similarity_transform(landmarks + np.float32(pad), like.landmarks)
    framed = warp(padded, matrix, max(width, height))[:height, :width]
    file = io.BytesIO()
    PillowImage.fromarray(np.ascontiguousarray(framed)).save(file, **options)
    return file.getvalue()


def load_generator(name: str) -> Faces:
    """A generator by name, ready to run.

    Raises LabError for unknown ones and for files that differ from what is known, MissingExtraError
    where OpenVINO is not installed.
    """
    if name not in GENERATORS:
        raise LabError(f"there is no generator {name!r}; there are {', '.join(GENERATORS)}")
    return GENERATORS[name]()


_MOBILESTYLEGAN = {
    "MappingNetwork.bin": "212dd716bdb556e18db603ea97300d4fa3c872b878c726b2402fea80820e7305",
    "MappingNetwork.xml": "73e2096cad6e696e4af47df2477e048ab4c42c0e0dec83c7c66604822689e55b",
    "SynthesisNetwork.bin": "c7da15fa22d508c82e1c30dd6b4cdf67fe3ccdddaf85b310ee764dbf0c289645",
    "SynthesisNetwork.xml": "7918fce515243954d3e06628cb39a23902d6b1d5d02932cc0c2faee7a2aeeedd",
}
_ADVICE = "pip install --no-deps random-face==2021.7.21.1, and the extra openvino"


def _mobilestylegan() -> Faces:
    """MobileStyleGAN (Belousov, 2021; Apache-2.0), a small StyleGAN2 trained on FFHQ, by OpenVINO.

    The package's own code is for an interface that OpenVINO no longer has, so only its files are
    used and it is never imported.
    """
    graphs = {
        file: carried_file("random_face", f"data/{file}", sha256, advice=_ADVICE, error=LabError)
        for file, sha256 in _MOBILESTYLEGAN.items()
    }
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise MissingExtraError("the generator mobilestylegan", "openvino") from error
    core = openvino.Core()
    mapping, synthesis = (
        core.compile_model(core.read_model(graphs[f"{part}Network.xml"]), "CPU")
        for part in ("Mapping", "Synthesis")
    )

    def style(z: np.ndarray) -> np.ndarray:
        return np.concatenate([mapping(row[None])[mapping.output(0)] for row in z])

    mean = style(np.random.default_rng(0).normal(size=(1024, 512)).astype(np.float32)).mean(
        axis=0, keepdims=True
    )

    def face(seed: int) -> Image:
        rng = np.random.default_rng(seed)
        drawn = style(rng.normal(size=(1, 512)).astype(np.float32))
        picture = synthesis(mean + rng.uniform(*TRUNCATION) * (drawn - mean))[synthesis.output(0)][
            0
        ]
        return np.ascontiguousarray(
            np.clip((picture.transpose(1, 2, 0) + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8)
        )

    return face


GENERATORS: Mapping[str, Callable[[], Faces]] = {"mobilestylegan": _mobilestylegan}

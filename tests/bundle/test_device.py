"""Where a bundle runs. There is no GPU here: what ONNX Runtime would say is played."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from unmask.bundle import load_bundle, session
from unmask.bundle.session import CUDA, on_gpu
from unmask.errors import DeviceError


def offers(monkeypatch: pytest.MonkeyPatch, *providers: str) -> None:
    monkeypatch.setattr(session.onnxruntime, "get_available_providers", lambda: [*providers])


def test_a_device_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    offers(monkeypatch, "CPUExecutionProvider")
    assert not on_gpu("cpu")
    assert not on_gpu("auto")
    with pytest.raises(DeviceError, match="pip install onnxruntime-gpu"):
        load_bundle("default", device="cuda")
    with pytest.raises(ValueError, match="cpu, cuda, auto"):
        on_gpu("tpu")


def test_a_device_that_is_there_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path
) -> None:
    asked: list[Any] = []
    opened = session.open_session

    class OnGpu:
        """A session of the processor that says it runs on a GPU."""

        def __init__(self, *args: Any, **options: Any) -> None:
            asked.append(options.pop("providers"))
            self._inner = opened(*args, **options)

        def get_providers(self) -> list[str]:
            return [*asked[-1]]

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    offers(monkeypatch, CUDA, "CPUExecutionProvider")
    monkeypatch.setattr(session, "open_session", OnGpu)
    for device in ("cuda", "auto"):
        load_bundle(str(tiny_bundle), device=device)
        assert asked.pop() == [CUDA, "CPUExecutionProvider"]
    load_bundle(str(tiny_bundle), device="cpu")
    assert asked.pop() == ["CPUExecutionProvider"]


def test_cuda_without_its_libraries_is_no_silent_processor(
    monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path
) -> None:
    offers(monkeypatch, CUDA, "CPUExecutionProvider")
    opened = session.open_session

    def on_the_processor(path: Path, *, providers: Any, **options: Any) -> Any:
        return opened(path, **options)

    monkeypatch.setattr(session, "open_session", on_the_processor)
    with pytest.raises(DeviceError, match="cannot start CUDA"):
        load_bundle(str(tiny_bundle), device="auto")

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.bundles import write_bundle
from helpers.web_site import Answer, web_site

SHARED = Path(__file__).parent.parent.parent / "shared"


@pytest.fixture(scope="session", autouse=True)
def _no_bundles_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests judge with what ships, whatever was put together on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNMASK_BUNDLES", str(tmp_path_factory.mktemp("bundles")))
        yield


@pytest.fixture(autouse=True)
def _the_scheduling_of_the_process_stays() -> Iterator[None]:
    """A library that makes the process real-time lets later tests hang without end."""
    policy = os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else None
    yield
    if policy is not None:
        assert os.sched_getscheduler(0) == policy, "the test left another scheduling policy"


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that scores a crop by its brightness."""
    return write_bundle(tmp_path_factory.mktemp("bundle") / "tiny.onnx")


@pytest.fixture
def site() -> Iterator[Callable[[str, Answer], str]]:
    """A web site of this machine: gives a path its answer, and returns the path's address."""
    with web_site() as add:
        yield add


@pytest.fixture(scope="session")
def shared() -> Path:
    """Media and data beside the checkout; tests that want them are skipped where they are not."""
    if not SHARED.is_dir():
        pytest.skip("the shared media and data are not beside the checkout")
    return SHARED


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the demo's pictures, without what Python puts beside its modules."""
    import unmask.demo

    source, copy = Path(unmask.demo.__file__).parent, tmp_path_factory.mktemp("demo") / "demo"
    return shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))

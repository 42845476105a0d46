"""The work of an archive scan done on a Ray cluster.

Batches of files are a Ray data set, judged by a pool of actors; what comes of them is written down
where the scan was started. Decoding and finding take CPUs. Where the cluster has GPUs, faces are
scored by actors that hold one each; only crops travel to them, for a verdict on a video needs
scores midway (where to look again), and frames are large. An actor that dies costs the batch it
had: its files are judged again, each alone, and one whose actors keep dying is given up.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

import unmask
from unmask._internal.ipc import Message, receive
from unmask.archive.coordinator import Coordinator
from unmask.archive.fetch import Fetched
from unmask.archive.model import Cause, Outcome, ScanJob, Task
from unmask.bundle.registry import find_bundle
from unmask.errors import ExecutorError, MissingExtraError, UnmaskError

if TYPE_CHECKING:
    from unmask.bundle.card import Card
    from unmask.bundle.session import Scored
    from unmask.types import Image, ModelId

ROUND = 100_000
"""Files that are given to Ray together. What is listed later, or was lost, comes in the next round.
"""

ATTEMPTS = 3
"""How often a file is tried, alone, whose actor dies; nodes die more often than processes."""

ANSWER_S = 12.0
"""For a cluster to answer."""

ROUNDS_IN_VAIN = 3
"""Rounds in a row without a single outcome, after which the cluster is given up."""


class RayExecutor:
    """An Executor whose workers are actors of a Ray cluster."""

    def __init__(
        self,
        job: ScanJob,
        address: str | None = None,
        actors: int = 0,
        *,
        scoring: Mapping[str, Any] | None = None,
    ) -> None:
        """Nothing is started yet.

        - job: what the actors are to do
        - address: HOST:PORT, ray://HOST:PORT or auto; None: a cluster of this machine alone, gone
          afterwards
        - actors: how many judge; 0: one for each CPU
        - scoring: what the one scoring actor of a model asks of Ray, as {"num_cpus": 1}; None: a
          GPU for each, as many as there are; without GPUs the judging actors score
        """
        self._job = job
        self._address = address
        self._actors = actors
        self._scoring = scoring
        self._deaths: dict[int, int] = {}
        self._alone: list[Task] = []

    def run(self, coordinator: Coordinator) -> Generator[Outcome]:
        """As `Executor.run`.

        Raises ExecutorError where the cluster cannot be used, MissingExtraError without Ray.
        """
        while not (batches := self._next_batches(coordinator)):
            if coordinator.finished or coordinator.stopping:
                return
            sleep(0.02)
        ray = connect(self._address, self._actors)
        try:
            models = {
                scan_pass.model: ray.put(find_bundle(scan_pass.model).read_bytes())
                for scan_pass in self._job.passes.values()
            }
            scorers = self._scorers(ray, models)
            vain = 0
            while batches and not coordinator.stopping:
                before = coordinator.judged
                yield from self._round(ray, coordinator, batches, models, scorers)
                vain = 0 if coordinator.judged > before else vain + 1
                if vain == ROUNDS_IN_VAIN:
                    raise ExecutorError(
                        f"{ROUNDS_IN_VAIN} rounds on the cluster came back without a single file"
                        " judged"
                    )
                while (
                    not (batches := self._next_batches(coordinator))
                    and not coordinator.finished
                    and not coordinator.stopping
                ):
                    sleep(0.02)
        finally:
            if self._address is None:
                ray.shutdown()

    def _next_batches(self, coordinator: Coordinator) -> list[list[Task]]:
        """The batches of the next round."""
        batches = [[task] for task in self._alone]
        self._alone = []
        count = len(batches)
        while count < ROUND and (batch := coordinator.take()):
            batches.append(batch)
            count += len(batch)
        return batches

    def _round(
        self,
        ray: Any,
        coordinator: Coordinator,
        batches: Sequence[list[Task]],
        models: Mapping[str, Any],
        scorers: Mapping[str, Any],
    ) -> Iterator[Outcome]:
        """Judge these batches."""
        left = {task.file: task for batch in batches for task in batch}
        alone = {batch[0].file for batch in batches if len(batch) == 1}
        contents = _contents(ray, coordinator)
        rows = [{"tasks": json.dumps([asdict(task) for task in batch])} for batch in batches]
        data = ray.data.from_items(rows, override_num_blocks=len(rows))
        with warnings.catch_warnings():
            # Ray has no other word yet for how often an actor is restarted; from 2.64 on it has
            # none at all
            warnings.simplefilter("ignore", DeprecationWarning)
            judged = self._mapped(ray, data, models, contents, scorers)
        try:
            for row in judged.iter_rows():
                message = receive(BytesIO(row["message"]))
                if message is None:
                    raise ExecutorError("unexpected message from a Ray actor")
                if message.kind == "broken":
                    raise ExecutorError(str(message.words["message"]))
                task = left.pop(message.words["file"], None)
                if task is None:
                    continue
                if message.kind == "same":
                    coordinator.attach(task, message.words["sha256"])
                else:
                    yield Outcome.of(message)
                if coordinator.stopping:
                    return
        except ray.exceptions.RayError as error:
            if not isinstance(error, ray.exceptions.RayActorError | ray.exceptions.ObjectLostError):
                raise ExecutorError(
                    f"the cluster gives up: {str(error).strip().splitlines()[-1]}"
                ) from error
        finally:
            ray.kill(contents)
        coordinator.release_waiting()
        yield from self._after_deaths(left, alone)

    def _mapped(
        self,
        ray: Any,
        data: Any,
        models: Mapping[str, Any],
        contents: Any,
        scorers: Mapping[str, Any],
    ) -> Any:
        """The data set of what is judged; nothing is done before it is iterated."""
        return data.map_batches(
            ScanActor,
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(
                min_size=1, max_size=self._pool(ray), max_tasks_in_flight_per_actor=2
            ),
            # an actor that died is replaced; what it had is for us to try again, file by file
            ray_remote_args_fn=lambda: {"max_restarts": 0, "max_task_retries": 0},
            fn_constructor_kwargs={
                "job": self._job.to_json(),
                "models": dict(models),
                "contents": contents,
                "scorers": dict(scorers),
                "version": unmask.__version__,
            },
        )

    def _after_deaths(self, left: Mapping[int, Task], alone: set[int]) -> Iterator[Outcome]:
        """What did not come back is tried again, each file alone."""
        for file, task in left.items():
            self._deaths[file] = self._deaths.get(file, 0) + (file in alone)
            if self._deaths[file] >= ATTEMPTS:
                words = f"the file crashes what decodes it; it was tried {ATTEMPTS} times alone"
                yield Outcome(file, None, task.scan_pass, error_kind="crashed", error_message=words)
            else:
                self._alone.append(task)

    def _pool(self, ray: Any) -> int:
        return self._actors or max(1, int(ray.cluster_resources().get("CPU", 1)))

    def _scorers(self, ray: Any, models: Mapping[str, Any]) -> dict[str, list[Any]]:
        """By model, the actors that score; none: faces are scored where they are found."""
        gpus = int(ray.cluster_resources().get("GPU", 0))
        if self._scoring is None and not gpus:
            return {}
        wants = self._scoring or {"num_gpus": 1 / len(models)}
        actor = ray.remote(ScoringActor).options(**wants, max_restarts=-1, max_task_retries=3)
        return {
            model: [
                actor.remote(content, self._engine(model), not self._scoring)
                for _ in range(gpus or 1)
            ]
            for model, content in models.items()
        }

    def _engine(self, model: str) -> str:
        passes = self._job.passes.values()
        return next(each.settings.engine for each in passes if each.model == model)


class ContentRegistry:
    """An actor that sees to it that each content is judged once.

    - known: by pass, what the ledger has
    """

    def __init__(self, known: Mapping[str, Sequence[str]]) -> None:
        self._known = {
            scan_pass: {bytes.fromhex(digest) for digest in digests}
            for scan_pass, digests in known.items()
        }
        self._owners: dict[tuple[bytes, str], int] = {}

    def begin(self, files: Sequence[tuple[int, str, str, bool]]) -> list[bool]:
        """Whether each file is to be judged: nobody else has its content.

        - files: (number, sha-256, pass, whether to judge it whatever the ledger has); the same file
          may ask again when it is retried
        """
        wanted = []
        for file, digest, scan_pass, forced in files:
            key = bytes.fromhex(digest), scan_pass
            known = key[0] in self._known.get(scan_pass, ()) and not forced
            wanted.append(not known and self._owners.setdefault(key, file) == file)
        return wanted


class ScanActor:
    """An actor of the pool: fetches and judges batches of files."""

    def __init__(
        self,
        job: Mapping[str, Any],
        models: Mapping[str, Any],
        contents: Any,
        scorers: Mapping[str, Sequence[Any]],
        version: str,
    ) -> None:
        import ray

        from unmask._internal.concurrency import one_opencv_thread
        from unmask.archive.executors.batch import BatchScanner

        if unmask.__version__ != version:
            raise ExecutorError(
                f"this node has unmask {unmask.__version__}, but the one who asks has {version}"
            )
        self._ray, self._contents = ray, contents
        one_opencv_thread(True).__enter__()  # for as long as the actor lives
        self._folder = _Models({model: ray.get(content) for model, content in models.items()})
        # each node has files of its own for the bundles, and a spool of its own
        given_job = ScanJob.from_json(job)
        passes = {
            name: replace(scan_pass, model=self._folder.paths[scan_pass.model])
            for name, scan_pass in given_job.passes.items()
        }
        remote = {
            self._folder.paths[model]: RemoteScorer(self._folder.paths[model], actors)
            for model, actors in scorers.items()
        }
        here = replace(given_job, passes=passes, spool=Path(self._folder.spool))
        self._scanner = BatchScanner(here, remote or None)

    def __call__(self, batch: Any) -> Any:
        import pyarrow

        try:
            messages = self._messages(batch)
        except UnmaskError as error:
            # not a file's fault; raised, it would pass for the death of an actor
            messages = [Message("broken", {"message": str(error)})]
        return pyarrow.table(
            {"message": pyarrow.array([m.pack() for m in messages], pyarrow.large_binary())}
        )

    def _messages(self, batch: Any) -> list[Message]:
        messages = []
        for text in batch["tasks"].to_pylist():
            tasks = [Task(**task) for task in json.loads(text)]
            fetched = list(self._scanner.fetch(tasks))
            messages += [outcome.message() for outcome in fetched if isinstance(outcome, Outcome)]
            files = [file for file in fetched if isinstance(file, Fetched)]
            wanted = self._wanted(files)
            messages += [_same(file) for file in files if file.task.file not in wanted]
            messages += [
                o.message()
                for o in self._scanner.judge([f for f in files if f.task.file in wanted])
            ]
        return messages

    def _wanted(self, files: Sequence[Fetched]) -> set[int]:
        questions = [
            (f.task.file, f.sha256, f.task.scan_pass, f.task.why in (Cause.ALL, Cause.FAILED))
            for f in files
        ]
        answers = self._ray.get(self._contents.begin.remote(questions)) if questions else []
        return {row[0] for row, wanted in zip(questions, answers, strict=True) if wanted}


class ScoringActor:
    """An actor that scores crops, where the GPU is."""

    def __init__(self, content: bytes, engine: str, gpu: bool) -> None:
        from unmask.bundle.session import Bundle

        self._folder = _Models({"model": content})
        self._bundle = Bundle(
            Path(self._folder.paths["model"]), engine=engine, device="cuda" if gpu else "cpu"
        )

    def score(self, crops: Sequence[Image], explain: bool) -> Scored:
        """As `Scorer.score`."""
        return self._bundle.score(crops, explain=explain)


class RemoteScorer:
    """A Scorer whose work is done by scoring actors, in turn."""

    def __init__(self, path: str, actors: Sequence[Any]) -> None:
        from unmask.bundle import read_seal
        from unmask.bundle.card import parse_card
        from unmask.bundle.registry import identify

        self.card: Card = parse_card(read_seal(Path(path).read_bytes()))
        self.id: ModelId = identify(path)
        self._actors, self._turn = actors, os.getpid()

    def score(self, crops: Sequence[Image], *, explain: bool = False) -> Scored:
        """As `Scorer.score`."""
        import ray

        self._turn += 1
        scored: Scored = ray.get(
            self._actors[self._turn % len(self._actors)].score.remote(list(crops), explain)
        )
        return scored


class _Models:
    """Bundles as files of this node, for as long as this object lives."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        import tempfile

        self._folder = tempfile.TemporaryDirectory(prefix="unmask-")
        self.paths = {}
        self.spool = str(Path(self._folder.name) / "spool")
        for number, (name, content) in enumerate(contents.items()):
            path = Path(self._folder.name) / f"{number}.onnx"
            path.write_bytes(content)
            self.paths[name] = str(path)


def connect(address: str | None, cpus: int = 0) -> Any:
    """Ray, connected.

    Raises ExecutorError where nothing answers within ANSWER_S, MissingExtraError without Ray.
    """
    # what is judged here is nobody else's business
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("the engine ray", "ray") from error
    answers: list[BaseException | None] = []

    def begin() -> None:
        try:
            options: dict[str, Any] = {"address": address}
            if address is None:  # without "local", Ray looks for one that may be long gone
                options = {"address": "local", "num_cpus": cpus or None, "include_dashboard": False}
            ray.init(
                **options,
                log_to_driver=False,
                logging_level=logging.ERROR,
                ignore_reinit_error=True,
            )
            answers.append(None)
        except BaseException as error:
            answers.append(error)

    # a cluster of one's own takes as long as it takes; one that is asked for answers soon, or not
    # at all
    if address is None:
        begin()
    else:
        waiter = threading.Thread(target=begin, daemon=True)
        waiter.start()
        waiter.join(ANSWER_S)
    where = address or "this machine"
    if not answers:
        raise ExecutorError(
            f"no Ray cluster answers at {where} within {ANSWER_S:g} s; is it up, and the port"
            " right?"
        )
    if answers[0] is not None:
        message = (str(answers[0]).strip() or type(answers[0]).__name__).splitlines()[0]
        raise ExecutorError(f"cannot use the Ray cluster at {where}: {message}") from answers[0]
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # batches that were lost are counted, and tried again, by us
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return ray


def _contents(ray: Any, coordinator: Coordinator) -> Any:
    """The actor of this round, on the node of the one who asks: whatever dies, it does not."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(ContentRegistry).options(num_cpus=0, scheduling_strategy=here)
    return actor.remote(coordinator.judged_digests())


def _same(file: Fetched) -> Message:
    file.discard()
    return Message("same", {"file": file.task.file, "sha256": file.sha256})

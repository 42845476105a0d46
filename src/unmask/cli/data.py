"""`unmask data`: from a published data set to face crops, splits that do not leak, and an audit."""

from __future__ import annotations

import random
from collections import Counter
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from unmask._internal.cores import cores
from unmask.cli.output import FacesOption, JobsOption, lab, progress, say, tell

app = typer.Typer(
    help="Data sets: list, read, prepare, split, audit, generate.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ManifestsArgument = Annotated[
    list[Path],
    typer.Argument(
        help="Manifests: .parquet, .csv, a folder of shards, or one with real/ and fake/.",
        show_default=False,
    ),
]


class WhichFaces(StrEnum):
    """The choices of --which."""

    largest = "largest"
    all = "all"


class Encoding(StrEnum):
    """The choices of --encoding."""

    jpeg = "jpeg"
    png = "png"


@app.command("list")
def list_sets() -> None:
    """List the data sets that can be read, their folder layout, source and terms."""
    with lab():
        from unmask.lab.data.datasets import all_datasets
    for name, data_set in all_datasets().items():
        tell(
            f"{name}: {data_set.title}\n{data_set.tree}\n  Source: {data_set.source}\n  Terms:"
            f" {data_set.terms}\n"
        )


@app.command()
def read(
    name: Annotated[str, typer.Argument(help="Name of the data set, from `unmask data list`.")],
    root: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    out: Annotated[Path, typer.Option(help="Manifest to write (.parquet or .csv).")],
) -> None:
    """Turn a published data set into a manifest; files that are missing are named."""
    with lab():
        from unmask.lab.data.datasets import read_dataset
        from unmask.lab.data.manifest import write_manifest
    reading = read_dataset(name, root)
    write_manifest(reading.items, out)
    counts = Counter((item.split, "fake" if item.label else "real") for item in reading.items)
    for (split, label), count in sorted(counts.items()):
        tell(f"{split:12} {label:5} {count:8,}")
    if reading.missing:
        shown = ", ".join(reading.missing[:5]) + (" …" if len(reading.missing) > 5 else "")
        tell(f"left out because the file is missing: {len(reading.missing):,} ({shown})")
    tell(
        f"written: {out}, {len(reading.items):,} rows in"
        f" {len({item.group for item in reading.items}):,} groups"
    )


@app.command()
def prepare(
    manifests: ManifestsArgument,
    out: Annotated[Path, typer.Option(help="Output folder for the crops and the coverage report.")],
    frames: Annotated[int, typer.Option(min=1, help="Frames per video, evenly spaced.")] = 10,
    every: Annotated[
        float | None, typer.Option(min=0.01, help="Take one frame every so many seconds instead.")
    ] = None,
    faces: FacesOption = "yunet",
    which: Annotated[
        WhichFaces, typer.Option(help="Keep the largest face of each frame, or all.")
    ] = WhichFaces.largest,
    size: Annotated[int, typer.Option(min=16, help="Side of the crops, in pixels.")] = 256,
    margin: Annotated[
        float, typer.Option(help="Side of the crops, as a multiple of the aligned face.")
    ] = 1.5,
    via: Annotated[
        int | None,
        typer.Option(min=16, help="Cut at this size first, then resize to --size."),
    ] = None,
    encoding: Annotated[
        Encoding, typer.Option(help="JPEG at quality 95 (4:4:4), or PNG.")
    ] = Encoding.jpeg,
    jobs: JobsOption = 0,
) -> None:
    """Crop the faces out of pictures and videos.

    Give the same command again to resume after a stop.
    """
    with lab():
        from unmask.lab.data.manifest import read_manifests
        from unmask.lab.data.prepare import CropSettings
        from unmask.lab.data.prepare import prepare as run_prepare
    items = read_manifests(manifests, files_there=False)
    settings = CropSettings(
        frames, every, faces, which.value, size, margin, via=via, encoding=encoding.value
    )
    with progress(len(items)) as advance:
        coverage = run_prepare(items, out, settings, jobs=cores(jobs), advance=advance)
    for name, counts in coverage["by_data_set"].items():
        tell(
            f"{name:30} "
            + ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items()))
        )
    for row in coverage["left_out"][:10]:
        tell(f"  left out: {row['name']}: {row['why']}")
    if (more := len(coverage["left_out"]) - 10) > 0:
        tell(f"  and {more:,} more, all in {out}/coverage.csv")
    tell(
        f"written: {out}, {coverage['crops']:,} crops of {coverage['with_a_face']:,} of"
        f" {coverage['items']:,} files"
    )


@app.command()
def split(
    manifests: ManifestsArgument,
    out: Annotated[Path, typer.Option(help="Manifest to write (.parquet or .csv).")],
    shares: Annotated[
        str, typer.Option(help="Share of each split.")
    ] = "train=0.7,validation=0.15,test=0.15",
    by: Annotated[
        str,
        typer.Option(
            help="What must stay in one split: group, identity, near_duplicate; or row: nothing."
        ),
    ] = "group",
    seed: Annotated[int, typer.Option(help="Random seed.")] = 1,
    jobs: JobsOption = 0,
) -> None:
    """Split data so that groups, people or near-duplicates never fall into two splits."""
    import numpy as np

    with lab():
        from unmask.lab.audit.identities import cluster, embed
        from unmask.lab.data.manifest import read_manifests, write_manifest
        from unmask.lab.data.samples import find_samples
        from unmask.lab.data.splits import parse_shares, split_items
    ties = [tie.strip() for tie in by.split(",")]
    items, share_by_split = read_manifests(manifests), parse_shares(shares)
    people, prints = None, None
    if {"identity", "near_duplicate"} & set(ties):
        processes = cores(jobs)
        samples = find_samples(items, jobs=processes)
        place = {id(item): row for row, item in enumerate(items)}
        rows = [place[id(sample.item)] for sample in samples.samples]
        prints = np.zeros((len(items), 32), np.uint8)
        prints[rows] = [sample.print for sample in samples.samples]
        if "identity" in ties:
            numbers = dict(
                zip(rows, cluster(embed(samples.samples, processes)).tolist(), strict=True)
            )
            people = [numbers.get(row) for row in range(len(items))]
    items = split_items(items, share_by_split, ties, seed=seed, prints=prints, people=people)
    write_manifest(items, out)
    for name in share_by_split:
        in_split = [item for item in items if item.split == name]
        fakes = sum(item.label for item in in_split)
        tell(
            f"{name:12} {len(in_split) - fakes:8,} real {fakes:8,} fake"
            f" {len({item.group for item in in_split}):8,} groups"
        )
    tell(f"written: {out}, tied by {', '.join(ties)}, seed {seed}")


@app.command()
def generate(
    generator: Annotated[str, typer.Argument(help="Generator: mobilestylegan.")],
    like: Annotated[
        list[Path],
        typer.Option(
            help="Manifests of real pictures whose framing, size and encoding are copied."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Manifest to write (.parquet).")],
    count: Annotated[int, typer.Option(min=1, help="How many pictures.")] = 1000,
    split: Annotated[
        list[str] | None, typer.Option(help="Copy only from these splits; default: all.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 1,
    jobs: JobsOption = 0,
) -> None:
    """Generate fake faces, each framed, sized and encoded like a real picture."""
    with lab():
        from unmask.faces import load_finder
        from unmask.lab.data.generate import generate as run_generator
        from unmask.lab.data.generate import load_generator
        from unmask.lab.data.manifest import read_manifests, write_manifest
        from unmask.lab.data.samples import find_samples
    faces = load_generator(generator)
    reals = [
        item
        for item in read_manifests(like)
        if not item.label and (not split or item.split in split)
    ]
    # no more faces are looked for than are needed
    drawn = random.Random(seed).sample(reals, min(count, len(reals)))
    likes = find_samples(drawn, jobs=cores(jobs)).samples
    made = []
    with progress(count) as advance:
        for item in run_generator(faces, generator, likes, count, load_finder("yunet"), seed):
            made.append(item)
            advance()
    write_manifest(made, out)
    tell(f"written: {out}, {len(made):,} generated faces like {len(likes):,} real pictures")


@app.command()
def audit(
    manifests: ManifestsArgument,
    out: Annotated[Path, typer.Option(help="Output folder for audit.html and audit.json.")],
    identities: Annotated[
        bool, typer.Option(help="Also compare faces, to find people who appear in two splits.")
    ] = True,
    as_trained: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE",
            help="Also ask crops for a shortcut, cut and changed as this recipe trains on them.",
        ),
    ] = None,
    jobs: JobsOption = 0,
) -> None:
    """Check a data set: do its splits leak, and can fakes be told from file properties alone?"""
    with lab():
        from unmask.lab.audit.audit import audit as run_audit
        from unmask.lab.data.manifest import read_manifests
        from unmask.lab.recipe import load_recipe
        from unmask.lab.training.wrapping import training_crops
    items = read_manifests(manifests)
    recipe = load_recipe(as_trained) if as_trained else None
    result = run_audit(
        items,
        out,
        identities=identities,
        crops=partial(training_crops, items, recipe, jobs=cores(jobs)) if recipe else None,
        jobs=cores(jobs),
        log=say,
    )
    for note in result.notes:
        tell(f"note: {note}")
    for leak in result.leaks.words():
        tell(f"LEAK: {leak}")
    if not result.leaks:
        tell("no leak between splits was found")
    for shortcut in result.shortcuts:
        tell(f"{shortcut.data}: {shortcut.words()}")
    tell(f"written: {out}/audit.html, audit.json")

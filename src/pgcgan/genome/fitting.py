"""Fit the windows of a plan, each by itself; a window that is there is complete and is not fitted again."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, ModelError, UsageError, listed
from ..generators import store
from ..generators.estimate import ExpectedLeak
from ..generators.haplotype import HaplotypeModel
from ..provenance import VERSION
from ..runtime.executors import Executor, Serial
from ..runtime.files import make_folder, workspace
from ..runtime.progress import OnEvent
from ..runtime.threads import single_thread
from .plan import METADATA, WINDOWS, Plan, make_plan
from .scan import Source, digest, site_checksums

NAME = "windows"  # of the family of generators
_MARK = "window.json"
_POPULATION = "population"  # what people are labelled by in windows


def train(
    source: Source,
    directory: str | os.PathLike[str],
    *,
    size: int,
    executor: Executor | None = None,
    resume: bool = False,
    force: bool = False,
    on_event: OnEvent | None = None,
    **options: Any,
) -> Path:
    """Plan, fit and finish a genome-wide model.

    Parameters
    ----------
    source, directory, size, options
        As in `make_plan`.
    executor : Executor, optional
        Reads the genome and fits the windows; by default this process, one after the other.
    resume : bool
        Go on with the plan and the windows that are there; data and parameters must be those of the interrupted run.
    force : bool
        Replace a model that is there, finished or not.
    on_event : callable, optional

    Returns
    -------
    Path
        The model directory.

    Raises
    ------
    ModelError
        If what is to be resumed belongs to other people or parameters.
    """
    if resume and Path(directory, store.PLAN, METADATA).is_file():
        _check_same(Plan.load(directory), source, size, options, directory)
    else:
        if resume and Path(directory, store.MODEL).is_file():
            raise UsageError(f"{directory} is a finished model; there is nothing to resume.")
        force = force or resume
        make_plan(source, directory, size=size, force=force, executor=executor, on_event=on_event, **options)
    fit_windows(directory, executor=executor, on_event=on_event)
    return finish(directory)


def _check_same(
    plan: Plan, source: Source, size: int, options: dict[str, Any], directory: str | os.PathLike[str]
) -> None:
    asked = {"size": size, "seed": 0, "label": ["super_pop"], "overlap": None, **options}
    asked["label"] = list(asked["label"])
    planned = {"size": plan.size, "seed": plan.seed, "label": plan.label, "overlap": plan.overlap, **plan.parameters}
    asked_source = dataclasses.replace(source, samples=None, options=dict(source.options))
    planned_source = dataclasses.replace(plan.source, samples=None)
    first = plan.windows[0]
    people = source.read(first.contig, first.first, first.first).samples.tolist()
    if (asked, asked_source, people) != (planned, planned_source, plan.source.samples):
        raise ModelError(
            f"The plan in {directory} was made of other people or with other parameters; resume with the same, or "
            "start again with --force."
        )


def fit_windows(
    directory: str | os.PathLike[str], *, executor: Executor | None = None, on_event: OnEvent | None = None
) -> None:
    """Fit all windows that are not there yet."""
    plan = Plan.load(directory)
    runs, where = executor or Serial(), os.path.abspath(directory)
    promises = [
        runs.submit(fit_window, where, window.index) for window in plan.windows if not _there(plan, where, window.name)
    ]
    for done, promise in enumerate(promises, start=1):
        promise.result()
        if on_event is not None:
            detail = f"{len(plan.windows) - len(promises) + done} of {len(plan.windows)}"
            on_event({"stage": "windows", "fraction": done / len(promises), "detail": detail})


def fit_window(directory: str | os.PathLike[str], index: int) -> bool:
    """Fit one window of a plan, unless it is there.

    Parameters
    ----------
    directory : path
        With a plan; see `make_plan`.
    index : int
        From 1 on.

    Returns
    -------
    bool
        Whether it was fitted now.

    Raises
    ------
    UsageError
        If there is no window of this number.
    DataError
        If the genotypes are not those that the plan was made of.
    """
    plan = Plan.load(directory)
    if not 1 <= index <= len(plan.windows):
        raise UsageError(
            f"There is no window {index}; the plan in {directory} has the windows 1 to {len(plan.windows)}."
        )
    window = plan.windows[index - 1]
    if _there(plan, directory, window.name):
        return False
    with single_thread():
        people = plan.source.read(window.contig, window.first, window.last)
        if people.n_variants != window.sites or digest(site_checksums(people)) != plan.digests[index - 1]:
            raise DataError(
                f"{plan.source.path} is not what the plan in {directory} was made of: window {index} "
                f"({window.contig}:{window.first}-{window.last}) differs; make the plan again with --force."
            )
        population, ancestry = Plan.people(directory)
        named = np.array([f"{number:06d}" for number in population], dtype=object)
        people = dataclasses.replace(people, labels={_POPULATION: named})
        model = HaplotypeModel(_POPULATION, seed=plan.seed, **plan.parameters)
        model.fit(people, ancestry=ancestry, overlap=window.overlap)
        place = Path(directory, WINDOWS, window.name)
        make_folder(place.parent)
        with workspace(place.parent) as folder:
            partial = Path(folder, window.name)
            # time and command stand in the model file of the genome: windows are the same whoever fits them
            origin = {"pgcgan": VERSION, "seed": plan.seed, "window": f"{index} of {len(plan.windows)}"}
            model.save(partial, provenance=origin)
            store.write_json(partial / _MARK, {"plan": plan.identity})
            if not _there(plan, directory, window.name):
                shutil.rmtree(place, ignore_errors=True)
            with contextlib.suppress(OSError):  # somebody else was first, with the same
                os.rename(partial, place)
    if not _there(plan, directory, window.name):
        raise UsageError(f"{place} cannot be written.")
    return True


def _there(plan: Plan, directory: str | os.PathLike[str], name: str) -> bool:
    """True if a window is fitted, to the data and with the parameters of the plan."""
    mark = Path(directory, WINDOWS, name, _MARK)
    return mark.is_file() and store.read_json(mark) == {"plan": plan.identity}


def finish(directory: str | os.PathLike[str]) -> Path:
    """Make a model of the fitted windows: write its model file, and remove the plan, which names the people.

    Raises
    ------
    ModelError
        If windows are not fitted yet.
    """
    folder = Path(directory)
    if (folder / store.MODEL).is_file() and not (folder / store.PLAN / METADATA).is_file():
        return folder
    plan = Plan.load(directory)
    absent = [str(w.index) for w in plan.windows if not _there(plan, directory, w.name)]
    if absent:
        raise ModelError(
            f"{len(absent)} of the {len(plan.windows)} windows of {directory} are not fitted: {listed(absent)}; "
            "pgcgan windows fit --index I fits one."
        )
    for path in (folder / WINDOWS).glob(".*"):  # what killed runs left
        shutil.rmtree(path, ignore_errors=True)
    windows = [store.read_json(folder / WINDOWS / window.name / store.MODEL) for window in plan.windows]
    # what overlaps give away counts twice
    leak = ExpectedLeak(
        sum(window["expected_leak"]["free frequencies"] for window in windows), 2 * sum(plan.label_counts.values())
    )
    store.write_json(
        folder / store.MODEL,
        {
            "format": store.FORMAT,
            "model": NAME,
            "label": list(plan.label),
            "label_counts": plan.label_counts,
            "phased": plan.phased,
            "ploidy": plan.ploidy,
            "seed": plan.seed,
            "parameters": {"size": plan.size, "overlap": plan.overlap, "of_windows": dict(plan.parameters)},
            "details": {
                "axes": plan.axes,
                "ancestry": [dataclasses.asdict(of_label) for of_label in plan.ancestry],
                "windows": [dataclasses.asdict(window) for window in plan.windows],
            },
            "expected_leak": leak.facts(),
            "provenance": dict(plan.made),
            "files": {},
        },
    )
    shutil.rmtree(folder / store.PLAN, ignore_errors=True)
    return folder

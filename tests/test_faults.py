"""Faults during work: kills, full disks, folders that go, two runs at once, Ctrl-C, clocks.

A kill is SIGKILL before a chosen call of the system; test_torture.py kills at random moments.
"""

from __future__ import annotations

import ctypes
import datetime
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import PROGRAM
from faulty_runs import EVALUATED, TINY, contents, digest, error_of, forked, train_words

import pgcgan
from pgcgan import PGcGAN
from pgcgan.cli import main
from pgcgan.errors import ModelError, UsageError
from pgcgan.generators.gan import checkpoint
from pgcgan.generators.store import CHECKPOINT, RUN
from pgcgan.runtime.files import LOCK, held, remove_dead, workspace

# ---- workspaces ---------------------------------------------------------------------------------------------------


def dies(action: Callable[[], object]) -> None:
    """Do something in a child that is killed, or ends by itself."""
    child = os.fork()
    if not child:
        try:
            action()
        finally:
            os._exit(1)
    os.waitpid(child, 0)


def test_what_a_dead_run_left_goes_and_what_a_live_one_holds_stays(tmp_path: Path) -> None:
    def killed() -> None:
        with workspace(tmp_path) as place:
            Path(place, "part").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    dies(killed)
    (dead,) = tmp_path.iterdir()
    assert (dead / "part").read_text() == "half"
    (tmp_path / ".pgcgan-notes").mkdir()  # not a name of ours
    (tmp_path / ".pgcgan-abcdefgh").mkdir()  # one of ours, that nobody locked, and with something in it
    (tmp_path / ".pgcgan-abcdefgh" / "file").touch()
    (tmp_path / ".pgcgan-ijklmnop").symlink_to(tmp_path / ".pgcgan-notes")
    (tmp_path / ".pgcgan-qrstuvwx").mkdir()  # killed before it was locked
    staying = {".pgcgan-notes", ".pgcgan-abcdefgh", ".pgcgan-ijklmnop"}
    with workspace(tmp_path) as place:
        assert {p.name for p in tmp_path.iterdir()} == {*staying, Path(place).name}
        Path(place, "part").write_text("live")
        with workspace(tmp_path) as other:  # descriptors of one process, and other processes, exclude each other alike
            assert Path(place, "part").read_text() == "live"
            dies(lambda: remove_dead(tmp_path))
            assert os.path.isdir(place) and os.path.isdir(other)
    assert {p.name for p in tmp_path.iterdir()} == staying


def test_many_runs_at_once_take_nothing_from_each_other(tmp_path: Path) -> None:
    def hammer() -> None:
        for i in range(150):
            with workspace(tmp_path) as place:
                Path(place, "part").write_text(str(i))
                os.replace(Path(place, "part"), tmp_path / f"out-{os.getpid()}-{i}")
        os._exit(0)

    children = []
    for _ in range(3):
        child = os.fork()
        if not child:
            try:
                hammer()
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert len(list(tmp_path.iterdir())) == 450


def test_a_directory_is_held_by_one_run(tmp_path: Path, cohort: pgcgan.Genotypes) -> None:
    child_ready, child_end = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        os.close(child_end[1])
        with held(tmp_path):
            os.write(child_ready[1], b"x")
            os.read(child_end[0], 1)
        os._exit(0)
    os.read(child_ready[0], 1)
    people = cohort.select(sites=slice(0, 40))
    model = PGcGAN(**TINY).fit(people)
    for attempt in (lambda: model.fit(people, directory=tmp_path), lambda: model.save(tmp_path)):
        with pytest.raises(UsageError) as caught:
            attempt()
        assert str(tmp_path) in str(caught.value) and f"process {child}" in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == [LOCK]
    os.write(child_end[1], b"x")
    os.waitpid(child, 0)
    model.save(tmp_path)
    assert LOCK not in {p.name for p in tmp_path.iterdir()}


# ---- kills --------------------------------------------------------------------------------------------------------


def kill_at(count: int) -> None:
    """Have this process killed before the `count`-th change of a directory."""
    left = [count]

    def counted(plain: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return plain(*args, **options)

        return wrapped

    for name in ("replace", "unlink", "rmdir", "mkdir"):
        setattr(os, name, counted(getattr(os, name)))


def killed_at_every_change(action: Callable[[Path], object], start: Path, check: Callable[[Path], None]) -> int:
    """Do something in copies of a folder, killed before the first change of a directory, the second, and so on."""
    for count in range(1000):
        here = start.with_name(f"{start.name}-{count}")
        shutil.copytree(start, here)
        child = os.fork()
        if not child:
            try:
                kill_at(count)
                action(here)
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitpid(child, 0)[1]
        if status == 0:
            return count
        assert os.WTERMSIG(status) == signal.SIGKILL
        check(here)
        shutil.rmtree(here)
    raise AssertionError


@pytest.mark.torture
def test_a_model_that_is_replaced_is_the_old_the_new_or_can_be_resumed(tmp_path: Path, inputs: Path) -> None:
    people = pgcgan.read(inputs / "cohort.vcf.gz", inputs / "cohort.panel.tsv").select(sites=slice(0, 12))
    PGcGAN(seed=1, **TINY).fit(people).save(tmp_path / "m")
    old = digest(tmp_path / "m")
    model = PGcGAN(seed=2, **TINY).fit(people, directory=tmp_path / "m", force=True)
    # while it is trained, the old one is there
    assert {name: digest(tmp_path / "m")[name] for name in old} == old
    assert PGcGAN.load(tmp_path / "m").seed == 1
    new = digest(model.save(tmp_path / "new"))
    states: list[str] = []

    def check(here: Path) -> None:
        try:
            seed = PGcGAN.load(here).seed
            states.append({1: "old", 2: "new"}[seed])
            finished, expected = digest(here), old if seed == 1 else new
            assert {name: finished[name] for name in expected} == expected
        except ModelError as error:
            assert str(here) in str(error) and "--resume" in str(error)
            states.append("resumed")
        # whatever it was: the same command with --resume makes the new one, and clears up
        if (here / "run.json").exists():
            PGcGAN(seed=2, **TINY).fit(people, directory=here, resume=True).save(here, force=True)
            assert digest(here) == new

    kills = killed_at_every_change(lambda here: model.save(here, force=True), tmp_path / "m", check)
    assert kills >= 5
    assert {"old", "new"} <= set(states)
    assert states == sorted(states, key=["old", "resumed", "new"].index)


def test_a_checkpoint_is_the_last_or_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    checkpoint.write_state(tmp_path / "m" / CHECKPOINT, {"step": 1})

    def check(here: Path) -> None:
        assert checkpoint.read_state(here / CHECKPOINT)["step"] in (1, 2)
        checkpoint.write_state(here / CHECKPOINT, {"step": 3})
        assert [p.name for p in here.iterdir()] == [CHECKPOINT]

    def action(here: Path) -> None:
        checkpoint.write_state(here / CHECKPOINT, {"step": 2})

    assert killed_at_every_change(action, tmp_path / "m", check) >= 4


@pytest.mark.parametrize("suffix", [".vcf.gz", ".bcf", ".bed", ".pgen", ".hap.gz", ".npz"])
def test_an_output_that_is_replaced_is_never_a_mixture(suffix: str, tmp_path: Path, inputs: Path) -> None:
    people = pgcgan.read(inputs / "cohort.vcf.gz", inputs / "cohort.panel.tsv")
    one, other = (people.select(samples=np.arange(k, k + 20)) for k in (0, 30))
    for name, part in (("old", one), ("new", other)):
        (tmp_path / name).mkdir()
        pgcgan.write(part, tmp_path / name / f"x{suffix}", unphased=suffix == ".bed")
    old, new = contents(tmp_path / "old"), contents(tmp_path / "new")
    absent = [0]

    def check(here: Path) -> None:
        there = {name: data for name, data in contents(here).items() if not name.startswith(".pgcgan-")}
        if f"x{suffix}" in there:
            assert there in (old, new)
        else:  # in the moment of replacing several files: not there, rather than half of one and half of the other
            absent[0] += 1
        pgcgan.write(other, here / f"x{suffix}", force=True, unphased=suffix == ".bed")
        assert contents(here) == new

    def action(here: Path) -> None:
        pgcgan.write(other, here / f"x{suffix}", force=True, unphased=suffix == ".bed")

    kills = killed_at_every_change(action, tmp_path / "old", check)
    assert kills >= 4
    assert absent[0] < len(new) + 2


# ---- full disks, folders that cannot be written, or go ------------------------------------------------------------


OUTPUTS = {
    "x.vcf": [],
    "x.vcf.gz": [],
    "x.bcf": [],
    "x.bed": ["--unphased"],
    "x.pgen": [],
    "x.hap.gz": [],
    "x.npz": [],
}
FULL = """
import os, resource, sys
from pgcgan.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))
for words in sys.argv[1:]:
    print(main(words.split("|")), flush=True)
"""


@pytest.mark.torture
def test_a_full_disk_is_one_sentence_and_the_old_output_stays(work: Path) -> None:
    for name, more in OUTPUTS.items():
        assert (
            main(["generate", str(work / "model"), "-n", "EUR=30", "--seed", "1", "-o", str(work / name), *more]) == 0
        )
    before = contents(work)
    commands = {name: ["convert", "cohort.vcf.gz", name, "--force", *more] for name, more in OUTPUTS.items()}
    commands["model"] = train_words("-o", "model", "--force")
    commands["new"] = train_words("-o", "new")
    commands["report.html"] = ["evaluate", *EVALUATED.split(), "-o", "report.html"]
    for name in ("haplotype", "independent"):
        commands[name] = ["train", "cohort.vcf.gz", "--panel", "cohort.panel.tsv", "--model", name, "-o", name]
    lines = ["|".join(words) for words in commands.values()]
    run = subprocess.run([sys.executable, "-c", FULL, *lines], cwd=work, capture_output=True, text=True)
    assert "Traceback" not in run.stderr and "Exception ignored" not in run.stderr
    statuses = [line for line in run.stdout.splitlines() if line.isdigit() and len(line) == 1]
    assert statuses == ["2"] * len(commands), run.stderr
    errors = [line for line in run.stderr.splitlines() if line.startswith("pgcgan: error: ")]
    for name, error in zip(commands, errors, strict=True):
        assert name.removesuffix(".gz") in error and "cannot be written: " in error
    after = contents(work)
    assert {name: after[name] for name in before} == before
    # nothing half-written beside them
    assert {Path(name).parts[0] for name in set(after) - set(before)} <= {"new", "model"}
    assert not list(work.rglob(".pgcgan-*"))
    assert pgcgan.load(work / "model").seed == 1


def test_a_full_standard_output(work: Path) -> None:
    with open("/dev/full", "w") as full:
        run = subprocess.run(
            [*PROGRAM, "generate", "model", "-n", "EUR=9", "-o", "-"],
            cwd=work,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert error_of(run) == "The output cannot be written: No space left on device."


def unprivileged() -> None:
    """Have permissions apply to root, too: without CAP_DAC_OVERRIDE. Others never had it."""
    system, version, sets = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert system.capget(version, sets) == 0
    sets[0] &= ~(1 << 1)  # of those in effect
    assert system.capset(version, sets) == 0


def test_a_folder_that_cannot_be_written(work: Path, tmp_path: Path) -> None:
    (work / "closed").mkdir()
    shutil.copytree(work / "model", work / "closed" / "model")
    for path in (work / "closed" / "model", work / "closed"):
        path.chmod(0o555)
    try:
        for words, name in (
            (["generate", "model", "-n", "5", "-o", "closed/x.vcf.gz"], "closed/x.vcf.gz"),
            (train_words("-o", "closed/model", "--force"), "closed/model"),
            (train_words("-o", "closed/new"), "closed/new"),
        ):
            child = forked(words, work, tmp_path / "errors", unprivileged)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            error = error_of(subprocess.CompletedProcess(words, status, "", (tmp_path / "errors").read_text()))
            assert name in error and "Permission denied" in error, error
    finally:
        (work / "closed").chmod(0o755)
        (work / "closed" / "model").chmod(0o755)
    assert contents(work / "closed" / "model") == contents(work / "model")


def test_the_folder_goes_while_people_are_written(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people = pgcgan.load(work / "model").sample({"EUR": 5}, seed=0)
    from pgcgan.io import vcf_write

    plain = vcf_write._text_lines

    def vanish(genotypes: pgcgan.Genotypes) -> Any:
        shutil.rmtree(work / "out")
        yield from plain(genotypes)

    monkeypatch.setattr(vcf_write, "_text_lines", vanish)
    for name in ("x.vcf", "x.vcf.gz"):
        (work / "out").mkdir()
        with pytest.raises(UsageError, match=f"out/{name} cannot be written: "):
            pgcgan.write(people, work / "out" / name)
        assert not (work / "out").exists()


def test_the_folder_goes_while_a_model_is_trained(tmp_path: Path, cohort: pgcgan.Genotypes) -> None:
    people = cohort.select(sites=slice(0, 40))
    where = tmp_path / "m"
    with pytest.raises(UsageError, match=f"{where}/{CHECKPOINT} cannot be written: No such file or directory."):
        PGcGAN(**TINY, checkpoint_seconds=0).fit(people, directory=where, on_event=lambda _: shutil.rmtree(where))
    assert not where.exists()


# ---- Ctrl-C, clocks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_keeps_the_checkpoint(times: int, work: Path, tmp_path: Path) -> None:
    # more steps than anybody waits for
    child = forked(train_words("-o", "new", steps=100_000), work, tmp_path / "errors")
    while not (work / "new" / CHECKPOINT).exists():
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
        time.sleep(0.01)
    for _ in range(times):
        os.killpg(child, signal.SIGINT)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130
    printed = (tmp_path / "errors").read_text()
    assert "--resume" in printed.splitlines()[-1] and "new" in printed.splitlines()[-1]
    assert "Traceback" not in printed
    assert checkpoint.read_state(work / "new" / CHECKPOINT)["progress"]["step"] > 0
    assert {p.name for p in (work / "new").iterdir()} == {RUN, CHECKPOINT}


def test_the_clock_may_go_backwards(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Backwards(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
            return datetime.datetime(2001, 1, 1, tzinfo=tz) - datetime.timedelta(seconds=time.monotonic())

    monkeypatch.setattr(time, "time", lambda: 1e9 - time.monotonic())
    monkeypatch.setattr(time, "time_ns", lambda: 10**18 - time.monotonic_ns())
    monkeypatch.setattr(datetime, "datetime", Backwards)
    people = pgcgan.read(work / "cohort.vcf.gz", work / "cohort.panel.tsv").select(sites=slice(0, 40))
    events: list[dict[str, Any]] = []
    settings = TINY | {"steps": 1_000_000, "minutes": 1 / 60}
    PGcGAN(**settings).fit(people, on_event=events.append).save(work / "new")
    assert 0 < len(events) < settings["steps"]  # the budget ended it
    for key in ("seconds", "fraction"):
        passed = [e[key] for e in events]
        assert passed == sorted(passed) and passed[0] >= 0
    assert pgcgan.load(work / "new").sample(3, seed=0).n_samples == 3

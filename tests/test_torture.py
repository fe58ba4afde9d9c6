"""Torture (`make torture`): real commands killed at random moments, small disks, two runs on one output."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import PROGRAM
from faulty_runs import EVALUATED, contents, digest, error_of, left_over, run_program, train_words

import pgcgan
from pgcgan.cli import main
from pgcgan.generators.gan import checkpoint
from pgcgan.generators.store import CHECKPOINT

KILLS = 20


def limited(size: int) -> Callable[[], None]:
    """Return what bounds the files of a child: to it, the disk is full."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def started(words: list[str], cwd: Path, sign: Path) -> subprocess.Popen[str]:
    """Start a command in a process group of its own, and return when a file is there."""
    program = subprocess.Popen([*PROGRAM, *words], cwd=cwd, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not sign.exists():
        assert program.poll() is None
        time.sleep(0.01)
    return program


def command(words: list[str], cwd: Path, delay: float | None = None) -> bool:
    """Run a command in a child, from after its imports on; tell whether it ended before it was killed."""
    child = os.fork()
    if not child:
        try:
            os.chdir(cwd)
            os._exit(main(words))
        finally:
            os._exit(99)
    end = None if delay is None else time.monotonic() + delay
    while True:
        done, status = os.waitpid(child, 0 if end is None else os.WNOHANG)
        if done:
            break
        if end is not None and time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            end = None
        time.sleep(0.001)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or os.waitstatus_to_exitcode(status) == 0
    return not killed


def duration(words: list[str], cwd: Path) -> float:
    began = time.monotonic()
    assert command(words, cwd)
    return time.monotonic() - began


@pytest.mark.torture
def test_training_survives_kills(work: Path) -> None:
    words = train_words("-o", "whole", steps=40)
    seconds = duration(words, work)
    whole, random = digest(work / "whole"), np.random.default_rng(1)
    words[words.index("whole")] = "killed"
    where, kills, finished, resumed = work / "killed", 0, 0, 0
    while kills < KILLS or not finished:
        more = ["--resume"] if (where / "run.json").exists() else ["--force"] if where.exists() else []
        delay = random.uniform(0, seconds) if kills < KILLS else None
        resumed += "--resume" in more
        if command([*words, *more], work, delay):
            assert digest(where) == whole
            assert not left_over(work)
            finished += 1
            shutil.rmtree(where)
            continue
        kills += 1
        if (where / CHECKPOINT).exists():
            assert checkpoint.read_state(where / CHECKPOINT)["task"]
        if (where / "model.json").exists():
            pgcgan.load(where)
    print(f"train: {kills} kills survived, {resumed} times resumed, {finished} models bit-identical")


@pytest.mark.torture
@pytest.mark.parametrize("name", ["people.vcf.gz", "people.pgen"])
def test_generation_survives_kills(name: str, work: Path) -> None:
    survives(["generate", "model", "-n", "500", "-o", f"out/{name}"], work)


@pytest.mark.torture
def test_evaluation_survives_kills(work: Path) -> None:
    survives(["evaluate", *EVALUATED.split(), "--json", "out/evaluation.json", "-o", "out/report.html"], work)


def survives(words: list[str], work: Path) -> None:
    """Kill a command at random moments while it replaces finished outputs: they stay, or the new ones are whole."""
    (work / "out").mkdir()
    os.environ["SOURCE_DATE_EPOCH"] = "0"
    try:
        seconds = duration([*words, "--seed", "1"], work)
        old = contents(work / "out")
        words = [*words, "--seed", "2", "--force"]
        duration(words, work)
        new, random = contents(work / "out"), np.random.default_rng(2)
        assert new.keys() == old.keys() and new != old
        ended = 0
        for _ in range(KILLS):
            shutil.rmtree(work / "out")
            for name, data in old.items():
                (work / "out").mkdir(exist_ok=True)
                (work / "out" / name).write_bytes(data)
            ended += command(words, work, random.uniform(0, seconds))
            there = {name: data for name, data in contents(work / "out").items() if not name.startswith(".pgcgan-")}
            assert there.keys() == old.keys()
            assert all(data in (old[name], new[name]) for name, data in there.items())
        duration(words, work)
        assert contents(work / "out") == new
        assert not left_over(work)
        print(f"{words[0]}: {KILLS - ended} kills survived")
    finally:
        del os.environ["SOURCE_DATE_EPOCH"]


@pytest.mark.torture
@pytest.mark.parametrize("size", ["64k", "300k"])
def test_a_small_disk(size: str, work: Path, tmp_path: Path) -> None:
    """On a disk of its own where the system allows it to be mounted, else with files bounded to that size."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = f'mount -t tmpfs -o size={size} tmpfs {disk} && cd {work} && exec "$@"'
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c", command, "sh"]
    mounts = subprocess.run([*alone, "true"], capture_output=True).returncode == 0
    before = contents(work)
    for words in (
        ["generate", "model", "-n", "4000", "-o", str(disk / "x.vcf")],
        ["generate", "model", "-n", "6000", "-o", str(disk / "x.vcf.gz")],
        ["generate", "model", "-n", "6000", "-o", str(disk / "x.bcf")],
        train_words("-o", str(disk / "new"), "--set", "width=96"),
    ):
        if mounts:
            # what is on the disk afterwards goes to standard output: it is unmounted when the shell ends
            check = 'status=0; "$@" || status=$?; ls -A "$0"; exit $status'
            line = [*alone, "sh", "-c", check, str(disk), *PROGRAM, *words]
            run = subprocess.run(line, capture_output=True, text=True)
            assert run.stdout.strip() in ("", "new")
        else:
            run = run_program(*words, cwd=work, preexec_fn=limited(int(size[:-1]) * 1024))
            assert not left_over(disk)
        error = error_of(run)
        assert "No space left on device" in error or "File too large" in error
    assert contents(work) == before


@pytest.mark.torture
def test_two_trainings_on_one_output(work: Path) -> None:
    words = train_words("-o", "new", steps=100_000)
    first = started(words, work, work / "new" / CHECKPOINT)
    error = error_of(run_program(*words, "--force", cwd=work))
    assert "new" in error and f"process {first.pid}" in error
    os.killpg(first.pid, signal.SIGINT)
    first.communicate()
    assert first.returncode == 130
    assert checkpoint.read_state(work / "new" / CHECKPOINT)["progress"]["step"] > 0


@pytest.mark.torture
def test_two_generations_of_one_output(work: Path) -> None:
    words = ["generate", "model", "-n", "3000", "-o", "out.vcf.gz", "--force"]
    both = [subprocess.Popen([*PROGRAM, *words, "--seed", str(seed)], cwd=work) for seed in (1, 2)]
    assert [program.wait() for program in both] == [0, 0]
    people = pgcgan.read(work / "out.vcf.gz", work / "out.panel.tsv")
    model = pgcgan.load(work / "model")
    assert any(np.array_equal(people.calls, model.sample(3000, seed=seed).calls) for seed in (1, 2))
    assert not left_over(work)


@pytest.mark.torture
def test_a_reader_that_goes_at_any_moment(work: Path) -> None:
    for lines in (0, 1, 5, 12):
        for words in ("generate model -n 3000 -o -", "convert cohort.vcf.gz -", "info model --json"):
            line = f'set -o pipefail; "$@" | head -n {lines}'
            run = subprocess.run(
                ["bash", "-c", line, "bash", *PROGRAM, *words.split()], cwd=work, capture_output=True, text=True
            )
            assert run.returncode in (0, 141), run.stderr
            assert "Traceback" not in run.stderr and "Exception ignored" not in run.stderr

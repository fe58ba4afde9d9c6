"""Faults during work: kills, full disks, folders that go, two runs at once, Ctrl-C, clocks; the long ones are torture.

A kill is SIGKILL, before a chosen call of the system or, in torture, at a random moment of the real command.
"""

from __future__ import annotations

import ctypes
import datetime
import hashlib
import json
import os
import resource
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

import pgcgan
from pgcgan import PGcGAN
from pgcgan.cli import main
from pgcgan.errors import ModelError, UsageError
from pgcgan.generators.gan import checkpoint
from pgcgan.generators.gan.training import STATE_FILE
from pgcgan.runtime.files import LOCK, held, remove_dead, workspace

PROGRAM = [sys.executable, "-c", "import sys; from pgcgan.cli import main; sys.exit(main())"]
SMALL = {"hidden": 8, "embedding": 8, "calibrate": False, "sharpening": 1.0, "run_carriers": 4}
TINY = {**SMALL, "steps": 3, "batch": 16}
SET = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")] + [
    "--set",
    "checkpoint_seconds=0",
]
KILLS = 20


def forked(words: list[str], cwd: Path, errors: Path, before: Callable[[], object] = lambda: None) -> int:
    """Start a command in a child that need not import anything again, its complaints in a file; return its number."""
    child = os.fork()
    if not child:
        try:
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.chdir(cwd)
            before()
            with errors.open("w") as sys.stderr:
                status = main(words)
            os._exit(status)
        finally:
            os._exit(99)
    return child


def run(*words: str, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *words], cwd=cwd, capture_output=True, text=True, **options)


def complaint(made: subprocess.CompletedProcess[str]) -> str:
    """Return the one sentence with which a command failed that the user can put right."""
    assert made.returncode == 2, made.stderr
    assert "Traceback" not in made.stderr
    *notes, last = made.stderr.splitlines()
    assert last.startswith("pgcgan: error: ")
    assert not any(line.startswith("pgcgan: error: ") for line in notes)
    return last.removeprefix("pgcgan: error: ")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def digest(model: Path) -> dict[str, str]:
    """Return the sha256 of each file of a model; times, threads and command of its provenance left out."""
    found = {p.name: p.read_bytes() for p in model.iterdir() if p.is_file() and p.name != "log.jsonl"}
    sheet = json.loads(found["model.json"])
    sheet["provenance"] = None
    for entry in sheet["history"]:
        entry.pop("seconds")
    found["model.json"] = json.dumps(sheet).encode()
    card = found["MODEL_CARD.md"].splitlines()
    found["MODEL_CARD.md"] = b"\n".join(line for line in card if not line.startswith(b"- command: "))
    return {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a cohort, a split, a model and people it made."""
    made = tmp_path_factory.mktemp("faults")
    people = pgcgan.simulate(80, length=60_000, seed=5)
    pgcgan.write(people, made / "cohort.vcf.gz")
    train = set(people.split(0.6, by="super_pop", seed=1)[0].samples)
    rows = "".join(f"{s}\t{'train' if s in train else 'test'}\n" for s in people.samples)
    (made / "split.tsv").write_text("sample\tsplit\n" + rows)
    model = PGcGAN(seed=1, calibrate=False, sharpening=1.0, run_carriers=4).fit(people)
    model.save(made / "model")
    pgcgan.write(model.sample(40, seed=1), made / "artificial.vcf.gz")
    return made


@pytest.fixture
def work(folder: Path, tmp_path: Path) -> Path:
    """Return a copy of it."""
    shutil.copytree(folder, tmp_path / "work")
    return tmp_path / "work"


def train_words(*more: str) -> list[str]:
    return ["train", "cohort.vcf.gz", "--panel", "cohort.panel.tsv", "--steps", "3", *SET, *more]


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
        with workspace(tmp_path) as made:
            Path(made, "part").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    dies(killed)
    (dead,) = tmp_path.iterdir()
    assert (dead / "part").read_text() == "half"
    (tmp_path / ".pgcgan-notes").mkdir()  # not a name of ours
    (tmp_path / ".pgcgan-abcdefgh").mkdir()  # one of ours, that nobody locked, and with something in it
    (tmp_path / ".pgcgan-abcdefgh" / "mine").touch()
    (tmp_path / ".pgcgan-ijklmnop").symlink_to(tmp_path / ".pgcgan-notes")
    (tmp_path / ".pgcgan-qrstuvwx").mkdir()  # killed before it was locked
    kept = {".pgcgan-notes", ".pgcgan-abcdefgh", ".pgcgan-ijklmnop"}
    with workspace(tmp_path) as made:
        assert {p.name for p in tmp_path.iterdir()} == {*kept, Path(made).name}
        Path(made, "part").write_text("live")
        with workspace(tmp_path) as other:  # descriptors of one process, and other processes, exclude each other alike
            assert Path(made, "part").read_text() == "live"
            dies(lambda: remove_dead(tmp_path))
            assert os.path.isdir(made) and os.path.isdir(other)
    assert {p.name for p in tmp_path.iterdir()} == kept


def test_many_runs_at_once_take_nothing_from_each_other(tmp_path: Path) -> None:
    def hammer() -> None:
        for i in range(150):
            with workspace(tmp_path) as made:
                Path(made, "part").write_text(str(i))
                os.replace(Path(made, "part"), tmp_path / f"out-{os.getpid()}-{i}")
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
    expected = (
        f"{tmp_path} is being written by another run (process {child}); wait until it has ended, or choose another "
        "directory."
    )
    model = PGcGAN(**TINY).fit(cohort.select(sites=slice(0, 40)))
    for attempt in (
        lambda: model.fit(cohort.select(sites=slice(0, 40)), directory=tmp_path),
        lambda: model.save(tmp_path),
    ):
        with pytest.raises(UsageError) as caught:
            attempt()
        assert str(caught.value) == expected
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


def test_a_model_that_is_replaced_is_the_old_the_new_or_can_be_resumed(tmp_path: Path, folder: Path) -> None:
    people = pgcgan.read(folder / "cohort.vcf.gz", folder / "cohort.panel.tsv").select(sites=slice(0, 12))
    PGcGAN(seed=1, **TINY).fit(people).save(tmp_path / "m")
    old = digest(tmp_path / "m")
    model = PGcGAN(seed=2, **TINY).fit(people, directory=tmp_path / "m", force=True)
    # while it is trained, the old one is there
    assert {name: digest(tmp_path / "m")[name] for name in old} == old
    assert PGcGAN.load(tmp_path / "m").seed == 1
    new = digest(model.save(tmp_path / "new"))
    found: list[str] = []

    def check(here: Path) -> None:
        try:
            seed = PGcGAN.load(here).seed
            found.append({1: "old", 2: "new"}[seed])
            finished = digest(here)
            expected = old if seed == 1 else new
            assert {name: finished[name] for name in expected} == expected
        except ModelError as error:
            assert str(error) == f"The training in {here} has not finished; run the same command with --resume."
            found.append("resumed")
        # whatever it was: the same command with --resume makes the new one, and clears up
        if (here / "run.json").exists():
            PGcGAN(seed=2, **TINY).fit(people, directory=here, resume=True).save(here, force=True)
            assert digest(here) == new

    kills = killed_at_every_change(lambda here: model.save(here, force=True), tmp_path / "m", check)
    assert kills >= 12
    assert set(found) == {"old", "resumed", "new"}
    assert found == sorted(found, key=["old", "resumed", "new"].index)


def test_a_checkpoint_is_the_last_or_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    checkpoint.write_state(tmp_path / "m" / STATE_FILE, {"step": 1})

    def check(here: Path) -> None:
        assert checkpoint.read_state(here / STATE_FILE)["step"] in (1, 2)
        checkpoint.write_state(here / STATE_FILE, {"step": 3})
        assert [p.name for p in here.iterdir()] == [STATE_FILE]

    def action(here: Path) -> None:
        checkpoint.write_state(here / STATE_FILE, {"step": 2})

    assert killed_at_every_change(action, tmp_path / "m", check) >= 4


@pytest.mark.parametrize("suffix", [".vcf.gz", ".bcf", ".bed", ".pgen", ".hap.gz", ".npz"])
def test_an_output_that_is_replaced_is_never_a_mixture(suffix: str, tmp_path: Path, folder: Path) -> None:
    people = pgcgan.read(folder / "cohort.vcf.gz", folder / "cohort.panel.tsv")
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


def limited(size: int) -> Callable[[], None]:
    """Return what bounds the files of a child: to it, the disk is full."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


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


def test_a_full_disk_is_one_sentence_and_the_old_output_stays(work: Path) -> None:
    for name, more in OUTPUTS.items():
        assert (
            main(["generate", str(work / "model"), "-n", "EUR=30", "--seed", "1", "-o", str(work / name), *more]) == 0
        )
    before = contents(work)
    commands = {name: ["convert", "cohort.vcf.gz", name, "--force", *more] for name, more in OUTPUTS.items()}
    real = "--real cohort.vcf.gz --panel cohort.panel.tsv --split split.tsv --synthetic artificial.vcf.gz"
    commands["model"] = train_words("-o", "model", "--force")
    commands["new"] = train_words("-o", "new")
    commands["report.html"] = ["evaluate", *real.split(), "-o", "report.html"]
    commands["independent"] = [*train_words()[:4], "--baseline", "independent", "-o", "independent"]
    made = subprocess.run(
        [sys.executable, "-c", FULL, *("|".join(words) for words in commands.values())],
        cwd=work,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in made.stderr and "Exception ignored" not in made.stderr
    codes = [line for line in made.stdout.splitlines() if line.isdigit() and len(line) == 1]
    assert codes == ["2"] * len(commands), made.stderr
    said = [line for line in made.stderr.splitlines() if line.startswith("pgcgan: error: ")]
    assert len(said) == len(commands)
    for (name, _), line in zip(commands.items(), said, strict=True):
        assert name.removesuffix(".gz") in line and "cannot be written: " in line
    after = contents(work)
    assert {name: after[name] for name in before if name != "model/log.jsonl"} == {
        name: data for name, data in before.items() if name != "model/log.jsonl"
    }
    # nothing half-written beside them
    assert {Path(name).parts[0] for name in set(after) - set(before)} <= {"new", "model"}
    assert not list(work.rglob(".pgcgan-*"))
    assert PGcGAN.load(work / "model").seed == 1


def test_a_full_standard_output(work: Path) -> None:
    with open("/dev/full", "w") as full:
        made = subprocess.run(
            [*PROGRAM, "generate", "model", "-n", "EUR=9", "-o", "-"],
            cwd=work,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert complaint(made) == "The output cannot be written: No space left on device."


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
            said = complaint(subprocess.CompletedProcess(words, status, "", (tmp_path / "errors").read_text()))
            assert said.startswith(f"{name} cannot be ") and said.endswith("Permission denied."), said
    finally:
        (work / "closed").chmod(0o755)
        (work / "closed" / "model").chmod(0o755)
    assert contents(work / "closed" / "model") == contents(work / "model")


def test_the_folder_goes_while_people_are_written(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = PGcGAN.load(work / "model").sample({"EUR": 5})
    from pgcgan.io import vcf_write

    plain = vcf_write._text_lines

    def vanish(genotypes: pgcgan.Genotypes) -> Any:
        shutil.rmtree(work / "out")
        yield from plain(genotypes)

    monkeypatch.setattr(vcf_write, "_text_lines", vanish)
    for name in ("x.vcf", "x.vcf.gz"):
        (work / "out").mkdir()
        with pytest.raises(UsageError, match=f"out/{name} cannot be written: "):
            pgcgan.write(made, work / "out" / name)
        assert not (work / "out").exists()


def test_the_folder_goes_while_a_model_is_trained(tmp_path: Path, cohort: pgcgan.Genotypes) -> None:
    people = cohort.select(sites=slice(0, 40))
    where = tmp_path / "m"
    with pytest.raises(UsageError, match=f"{where}/{STATE_FILE} cannot be written: No such file or directory."):
        PGcGAN(**TINY, checkpoint_seconds=0).fit(people, directory=where, on_event=lambda _: shutil.rmtree(where))
    assert not where.exists()


# ---- Ctrl-C, clocks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_keeps_the_checkpoint(times: int, work: Path, tmp_path: Path) -> None:
    # more steps than there is patience for
    words = [*train_words("-o", "new"), "--set", "patience=0"]
    words[words.index("--steps") + 1] = "100000"
    child = forked(words, work, tmp_path / "errors")
    while not (work / "new" / STATE_FILE).exists():
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
        time.sleep(0.01)
    for _ in range(times):
        os.killpg(child, signal.SIGINT)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130
    said = (tmp_path / "errors").read_text()
    assert said.splitlines()[-1] == "pgcgan: training stopped; the same command with --resume goes on from new"
    assert "Traceback" not in said
    assert checkpoint.read_state(work / "new" / STATE_FILE)["step"] > 0
    assert {p.name for p in (work / "new").iterdir()} <= {"run.json", "log.jsonl", STATE_FILE}


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
    settings = TINY | {"steps": 1_000_000, "minutes": 1 / 60, "patience": 0}
    PGcGAN(**settings).fit(people, on_event=events.append).save(work / "new")
    assert 0 < len(events) < settings["steps"]  # the budget ended it
    for key in ("seconds", "fraction"):
        passed = [e[key] for e in events]
        assert passed == sorted(passed) and passed[0] >= 0
    assert PGcGAN.load(work / "new").sample(3).n_samples == 3


# ---- torture: `make torture` --------------------------------------------------------------------------------------


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


def left_over(folder: Path) -> list[str]:
    return [str(p) for p in folder.rglob("*") if p.name.startswith(".pgcgan-") or p.name == LOCK or p.suffix == ".tmp"]


@pytest.mark.torture
def test_training_survives_kills(work: Path) -> None:
    words = train_words("-o", "whole")
    words[words.index("--steps") + 1] = "12"
    words += ["--set", "adversarial_steps=3", "--set", "critic_features=4"]
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
        if (where / STATE_FILE).exists():
            assert checkpoint.read_state(where / STATE_FILE)["task"]["generator"]
        if (where / "model.json").exists():
            PGcGAN.load(where)
    print(f"train: {kills} kills survived, {resumed} times resumed, {finished} models bit-identical")


@pytest.mark.torture
@pytest.mark.parametrize("name", ["made.vcf.gz", "made.pgen"])
def test_generation_survives_kills(name: str, work: Path) -> None:
    survives(["generate", "model", "-n", "500", "-o", f"out/{name}"], work)


@pytest.mark.torture
def test_evaluation_survives_kills(work: Path) -> None:
    real = "--real cohort.vcf.gz --panel cohort.panel.tsv --split split.tsv --synthetic artificial.vcf.gz"
    survives(["evaluate", *real.split(), "--json", "out/found.json", "-o", "out/report.html"], work)


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
        train_words("-o", str(disk / "new"), "--set", "hidden=256"),
    ):
        if mounts:
            check = 'status=0; "$@" || status=$?; ls -A "$0" >&2; exit $status'
            made = subprocess.run(
                [*alone, "sh", "-c", check, str(disk), *PROGRAM, *words], capture_output=True, text=True
            )
            *said, left = [line for line in made.stderr.splitlines() if line] + ["" if "generate" in words else "new"]
            left = said.pop() if not said[-1].startswith("pgcgan: ") else left
            assert left in ("", "new")
        else:
            bytes_ = int(size[:-1]) * {"k": 1024, "m": 1024**2}[size[-1]]
            made = run(*words, cwd=work, preexec_fn=limited(bytes_))
            said = made.stderr.splitlines()
            assert not left_over(disk)
        assert made.returncode == 2, made.stderr
        assert "Traceback" not in made.stderr
        errors = [line for line in said if line.startswith("pgcgan: error: ")]
        assert len(errors) == 1 and ("No space left on device" in errors[0] or "File too large" in errors[0])
    assert contents(work) == before


@pytest.mark.torture
def test_two_trainings_on_one_output(work: Path) -> None:
    words = train_words("-o", "new")
    words[words.index("--steps") + 1] = "3000"
    words += ["--set", "patience=0"]
    first = started(words, work, work / "new" / STATE_FILE)
    said = complaint(run(*words, "--force", cwd=work))
    assert said.startswith(f"new is being written by another run (process {first.pid}); ")
    os.killpg(first.pid, signal.SIGINT)
    first.communicate()
    assert first.returncode == 130
    assert checkpoint.read_state(work / "new" / STATE_FILE)["step"] > 0


@pytest.mark.torture
def test_two_generations_of_one_output(work: Path) -> None:
    words = ["generate", "model", "-n", "3000", "-o", "out.vcf.gz", "--force"]
    both = [subprocess.Popen([*PROGRAM, *words, "--seed", str(seed)], cwd=work) for seed in (1, 2)]
    assert [program.wait() for program in both] == [0, 0]
    found = pgcgan.read(work / "out.vcf.gz", work / "out.panel.tsv")
    model = PGcGAN.load(work / "model")
    assert any(np.array_equal(found.calls, model.sample(3000, seed=seed).calls) for seed in (1, 2))
    assert not left_over(work)


@pytest.mark.torture
def test_a_reader_that_goes_at_any_moment(work: Path) -> None:
    for lines in (0, 1, 5, 12):
        for words in ("generate model -n 3000 -o -", "convert cohort.vcf.gz -", "info model --json"):
            line = f'set -o pipefail; "$@" | head -n {lines}'
            made = subprocess.run(
                ["bash", "-c", line, "bash", *PROGRAM, *words.split()], cwd=work, capture_output=True, text=True
            )
            assert made.returncode in (0, 141), made.stderr
            assert "Traceback" not in made.stderr and "Exception ignored" not in made.stderr

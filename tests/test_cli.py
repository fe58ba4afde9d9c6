"""The command line: what it writes, what it says, and how it stops."""

from __future__ import annotations

import gzip
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cyvcf2
import numpy as np
import pytest

import pgcgan
import pgcgan.report
from pgcgan import cli
from pgcgan.cli import progress
from pgcgan.generators.baselines import BASELINES
from pgcgan.metrics.gate import THRESHOLDS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a cohort, a split, two fitted baselines and artificial people; tests only read it."""
    made = tmp_path_factory.mktemp("cli")
    program = [sys.executable, "-c", "import sys; from pgcgan.cli import main; sys.exit(main())"]
    for line in (
        "simulate --people 120 --length 60000 --seed 3 --split split.tsv -o cohort.vcf.gz",
        "train cohort.vcf.gz --panel cohort.panel.tsv --split split.tsv --min-maf 0.02 --baseline smote -o smote.model",
        "train cohort.vcf.gz --panel cohort.panel.tsv --label super_pop --label gender --baseline independent "
        "-o two.model",
        "generate smote.model --like cohort.panel.tsv --split split.tsv -o made.vcf.gz",
    ):
        run = subprocess.run([*program, *line.split()], cwd=made, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
    return made


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Return a function that runs one command line in `folder` and returns status, standard output, standard error."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["pgcgan"])

    def one(line: str) -> tuple[int, str, str]:
        status = cli.main(shlex.split(line))
        said = capsys.readouterr()
        return status, said.out, said.err

    return one


def people_of(path: Path) -> Counter[str]:
    """Count the samples of a VCF, read by cyvcf2, by the label in their names."""
    return Counter(name.split("_")[1] for name in cyvcf2.VCF(str(path)).samples)


def trained(folder: Path, *columns: str) -> Counter[str]:
    """Count the people for training by label, read without pgcgan."""
    split = dict(line.split("\t") for line in (folder / "split.tsv").read_text().splitlines())
    rows = [line.split("\t") for line in (folder / "cohort.panel.tsv").read_text().splitlines()]
    header = rows[0]
    return Counter(
        "/".join(row[header.index(c)] for c in columns or ("super_pop",))
        for row in rows[1:]
        if split[row[0]] == "train"
    )


# ---- the way through ------------------------------------------------------------------------------------------------


def test_simulate_writes_a_cohort_its_panel_and_a_split(folder: Path) -> None:
    vcf = cyvcf2.VCF(str(folder / "cohort.vcf.gz"))
    real = pgcgan.simulate(120, length=60_000, seed=3)
    assert vcf.samples == real.samples.tolist()
    assert np.array_equal([v.genotype.array()[:, :2] for v in vcf], real.calls)
    assert (folder / "cohort.vcf.gz.tbi").exists()
    panel = (folder / "cohort.panel.tsv").read_text().splitlines()
    assert panel[0] == "sample\tpop\tsuper_pop\tgender"
    assert len(panel) == 121
    split = Counter(line.split("\t")[1] for line in (folder / "split.tsv").read_text().splitlines()[1:])
    assert split["train"] == pytest.approx(96, abs=3)
    assert split["train"] + split["test"] == 120


def test_generate_like_a_panel_and_a_split(folder: Path) -> None:
    assert people_of(folder / "made.vcf.gz") == trained(folder)
    common = pgcgan.read(folder / "cohort.vcf.gz").select(samples=[*_train_samples(folder)]).select(min_maf=0.02)
    assert [v.POS for v in cyvcf2.VCF(str(folder / "made.vcf.gz"))] == common.variants.position.tolist()


def _train_samples(folder: Path) -> list[str]:
    rows = [line.split("\t") for line in (folder / "split.tsv").read_text().splitlines()[1:]]
    return [name for name, part in rows if part == "train"]


def test_exact_counts(run, folder: Path, tmp_path: Path) -> None:
    status, out, err = run(f"generate smote.model -n EUR=7 -n AFR=1 --seed 5 -o {tmp_path}/a.vcf.gz --prefix ART")
    assert (status, out) == (0, "")
    assert re.fullmatch(
        rf"8 people at \d+ sites: {tmp_path}/a.vcf.gz, {tmp_path}/a.vcf.gz.tbi, {tmp_path}/a.panel.tsv\n", err
    )
    assert people_of(tmp_path / "a.vcf.gz") == {"AFR": 1, "EUR": 7}
    assert cyvcf2.VCF(str(tmp_path / "a.vcf.gz")).samples[0] == "ART_AFR_000001"
    assert run(f"generate smote.model -n 331 -o {tmp_path}/b.bcf")[0] == 0
    counts = people_of(tmp_path / "b.bcf")
    assert sum(counts.values()) == 331
    real = trained(folder)
    assert all(abs(counts[k] - 331 * real[k] / sum(real.values())) < 1 for k in real)
    status, out, _ = run("generate two.model -n EUR/male=2 -o -")
    assert status == 0
    header = next(line for line in out.splitlines() if line.startswith("#CHROM"))
    assert header.split("\t")[9:] == ["SYN_EUR_male_000001", "SYN_EUR_male_000002"]


def test_balance_fills_every_label_up_to_the_largest(run, folder: Path, tmp_path: Path) -> None:
    assert run(f"generate smote.model --balance -o {tmp_path}/a.vcf")[0] == 0
    real = trained(folder)
    most = max(real.values())
    assert people_of(tmp_path / "a.vcf") == Counter({k: most - v for k, v in real.items() if v < most})


def test_like_with_several_labels(run, folder: Path, tmp_path: Path) -> None:
    assert run(f"generate two.model --like cohort.panel.tsv --split split.tsv -o {tmp_path}/a.vcf")[0] == 0
    labels = pgcgan.read_panel(tmp_path / "a.panel.tsv")
    made = Counter(f"{s}/{g}" for s, g in zip(labels["super_pop"].values(), labels["gender"].values(), strict=True))
    assert made == trained(folder, "super_pop", "gender")


def test_the_same_command_line_twice_gives_the_same_bytes(
    run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        for line in (
            "simulate --people 30 --length 30000 --seed 8 --split split.tsv -o c.vcf.gz",
            "train c.vcf.gz --panel c.panel.tsv --baseline pca-gaussian --components 5 -o m --seed 2",
            "generate m -n 40 --seed 4 -o s.vcf.gz",
        ):
            assert run(line)[0] == 0
        seen.append({p.name: p.read_bytes() for p in (tmp_path / name).iterdir() if p.is_file()})
    assert seen[0].keys() == {"c.vcf.gz", "c.vcf.gz.tbi", "c.panel.tsv", "split.tsv"} | {
        "s.vcf.gz",
        "s.vcf.gz.tbi",
        "s.panel.tsv",
    }
    assert seen[0] == seen[1]
    assert b"##pgcganCommand=pgcgan generate m -n 40 --seed 4 -o s.vcf.gz\n" in gzip.decompress(seen[0]["s.vcf.gz"])


def test_evaluate_prints_the_table_and_writes_json_and_report(run, tmp_path: Path) -> None:
    line = "evaluate --real cohort.vcf.gz --panel cohort.panel.tsv --split split.tsv --synthetic made.vcf.gz"
    status, out, err = run(f"{line} --json {tmp_path}/e.json -o {tmp_path}/report.html --figures {tmp_path}/figures")
    assert status == 0
    assert out.splitlines()[0].split()[:4] == ["topic", "metric", "value", "floor"]
    assert re.search(r"^frequency +AF RMSE +0\.\d+ +0\.\d+", out, re.MULTILINE)
    drawn = re.findall('<figure id="([^"]+)"', (tmp_path / "report.html").read_text())
    names = "".join(f", {tmp_path}/figures/{name}.svg" for name in drawn)
    assert f"written: {tmp_path}/e.json, {tmp_path}/report.html{names}\n" in err
    assert sorted(p.stem for p in (tmp_path / "figures").iterdir()) == sorted(drawn)
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    saved = pgcgan.Evaluation.from_json((tmp_path / "e.json").read_text())
    status, again, _ = run(f"{line} --json -")
    assert status == 0
    rows = json.loads(again)["rows"]
    assert [r["value"] for r in rows] == [r.value for r in saved.rows]
    # the number is that of the library, on people taken apart by hand
    real = pgcgan.read("cohort.vcf.gz", "cohort.panel.tsv")
    made = pgcgan.read("made.vcf.gz", "made.panel.tsv")
    real = real.select(sites=np.isin(real.variants.position, made.variants.position))
    train = _train_samples(Path())
    rest = real.select(samples=[s for s in real.samples if s not in set(train)])
    direct = pgcgan.evaluate(real.select(samples=train), made, holdout=rest)
    assert direct.get("AF RMSE").value == saved.get("AF RMSE").value
    # rows of each label on demand only
    assert not re.search(r" EUR ", out)
    assert re.search(r"AF RMSE +EUR ", run(f"{line} --per-label")[1])


def test_a_report_shows_baselines_augmentation_and_training_where_asked_to(run, tmp_path: Path) -> None:
    options = "--baseline independent --baseline li-stephens --augment AFR --model smote.model --seed 2"
    status, out, _ = run(f"{JUDGED} {options} -o {tmp_path}/e.json")
    assert status == 0 and re.search(r"augmentation F1 of AFR, 10 kept +0\.\d", out)
    saved = pgcgan.Evaluation.from_json((tmp_path / "e.json").read_text())
    assert list(saved.figures["baselines"]) == ["independent", "li-stephens"]
    assert "training" not in saved.figures  # a baseline is not trained
    # the rows of a baseline are those of its people, drawn and evaluated by hand
    real = pgcgan.read("cohort.vcf.gz", "cohort.panel.tsv")
    made = pgcgan.read("made.vcf.gz", "made.panel.tsv")
    real = real.select(sites=np.isin(real.variants.position, made.variants.position))
    train = real.select(samples=_train_samples(Path()))
    rest = real.select(samples=[s for s in real.samples if s not in set(train.samples)])
    drawn = BASELINES["independent"]("super_pop", seed=2).fit(train)
    direct = pgcgan.evaluate(train, drawn.sample(drawn.label_counts, seed=2), holdout=rest, seed=2)
    kept = {r["metric"]: r["value"] for r in saved.figures["baselines"]["independent"]}
    assert (
        kept["LD RMSE"] == direct.get("LD RMSE").value and kept["membership AUC"] == direct.get("membership AUC").value
    )
    status, _, _ = run(f"report {tmp_path}/e.json -o {tmp_path}/e.html")
    drawn_figures = re.findall('<figure id="([^"]+)"', (tmp_path / "e.html").read_text())
    assert status == 0 and "augmentation" in drawn_figures
    assert "li-stephens" in (tmp_path / "e.html").read_text()


def test_what_cannot_be_set_beside_is_refused(run, tmp_path: Path) -> None:
    for options, said in (
        ("--baseline magic", "Unknown baseline 'magic'; accepted: independent, li-stephens, pca-gaussian, smote."),
        ("--augment MARS", "No label has the value 'MARS'; the values: "),
        (f"--model {tmp_path}", f"{tmp_path} has no model.json: it is not a finished"),
    ):
        status, _, err = run(f"{JUDGED} {options} -o {tmp_path}/never.json")
        assert status == 2 and said in err, err
        assert "Traceback" not in err and not (tmp_path / "never.json").exists()
    shutil.copy("made.vcf.gz", tmp_path / "bare.vcf.gz")
    line = "evaluate --real cohort.vcf.gz --panel cohort.panel.tsv --split split.tsv --baseline smote --synthetic"
    status, _, err = run(f"{line} {tmp_path}/bare.vcf.gz")
    assert status == 2 and "--synthetic-panel" in err


JUDGED = "evaluate --real cohort.vcf.gz --panel cohort.panel.tsv --split split.tsv --synthetic made.vcf.gz"


def test_a_report_is_drawn_again_from_json_and_two_are_compared(run, tmp_path: Path) -> None:
    status, _, err = run(f"{JUDGED} -o {tmp_path}/smote.json")
    assert (status, err) == (0, f"written: {tmp_path}/smote.json\n")
    status, _, err = run(f"report {tmp_path}/smote.json -o {tmp_path}/smote.html")
    assert (status, err) == (0, f"written: {tmp_path}/smote.html\n")
    saved = pgcgan.Evaluation.from_json((tmp_path / "smote.json").read_text())
    assert (tmp_path / "smote.html").read_text() == pgcgan.report.render(saved)
    assert run(f"{JUDGED} --seed 1 -o {tmp_path}/other.json")[0] == 0
    status, out, err = run(f"compare {tmp_path}/smote.json {tmp_path}/other.json --json {tmp_path}/both.json")
    assert (status, err) == (0, f"written: {tmp_path}/both.json\n")
    assert out.splitlines()[0].split() == ["topic", "metric", "floor", "smote", "other", "aim", "nearer", "intervals"]
    assert "- They differ in seed: 0 and 1." in out
    content = json.loads((tmp_path / "both.json").read_text())
    assert len(content["lines"]) == len(saved.rows)
    assert json.loads(run(f"compare {tmp_path}/smote.json {tmp_path}/other.json --json -")[1]) == content


def test_the_gate_ends_with_3_and_the_report_is_written_all_the_same(run, tmp_path: Path) -> None:
    status, out, err = run(f"{JUDGED} --gate -o {tmp_path}/report.html")
    assert status == 3
    assert "AF RMSE" in out
    assert (tmp_path / "report.html").exists()
    assert re.search(r"^pgcgan: gate failed: \d+ of \d+ checks$", err, re.MULTILINE)
    assert re.search(r"^  held-out people: \d+ people is below 50$", err, re.MULTILINE)
    off = " ".join(f"--threshold '{m}=off'" for m in THRESHOLDS if m != "AF RMSE")
    status, _, err = run(f"{JUDGED} --gate {off} --threshold 'AF RMSE=5x'")
    assert (status, err) == (0, "gate passed: all 1 checks\n")
    assert run(f"{JUDGED} --gate {off} --threshold 'AF RMSE=0.1x'")[0] == 3


def test_a_release_is_written_only_if_the_gate_passes(run, tmp_path: Path) -> None:
    line = "generate smote.model --like cohort.panel.tsv --split split.tsv --release --real cohort.vcf.gz"
    line += f" --panel cohort.panel.tsv -o {tmp_path}/out.vcf.gz"
    status, out, err = run(line)
    assert (status, out) == (3, "")
    assert err.startswith("pgcgan: gate failed: ") and err.endswith("  nothing was written\n")
    assert list(tmp_path.iterdir()) == []
    limits = " ".join(f"--threshold '{m}=off'" for m in THRESHOLDS if m != "AF RMSE")
    status, _, err = run(f"{line} {limits}")
    assert status == 0
    assert "gate passed: all 1 checks" in err
    assert people_of(tmp_path / "out.vcf.gz") == trained(Path())


def test_near_copies_are_refused_and_counted(run, folder: Path, tmp_path: Path) -> None:
    line = "generate smote.model -n EUR=12 --real cohort.vcf.gz --split split.tsv --min-distance 3 --seed 2"
    status, _, err = run(f"{line} -o {tmp_path}/a.vcf")
    assert status == 0
    refused = int(
        re.match(r"(\d+) people refused: a haplotype nearer than 3 sites to one of a training person\n", err)[1]
    )
    made = pgcgan.read(tmp_path / "a.vcf")
    real = pgcgan.read("cohort.vcf.gz").select(samples=_train_samples(folder))
    rows = real.select(sites=np.isin(real.variants.position, made.variants.position)).haplotypes()
    nearest = [int((rows != haplotype).sum(axis=1).min()) for haplotype in made.haplotypes()]
    assert people_of(tmp_path / "a.vcf") == {"EUR": 12}
    assert min(nearest) >= 3
    assert refused > 0
    assert run(f"{line} -o {tmp_path}/b.vcf")[0] == 0
    assert [v.genotypes for v in cyvcf2.VCF(f"{tmp_path}/a.vcf")] == [
        v.genotypes for v in cyvcf2.VCF(f"{tmp_path}/b.vcf")
    ]


@pytest.mark.parametrize(
    ("simulate", "evaluate", "metric", "reason"),
    [
        ("--people 60 --population EUR", "--split split.tsv", "Fst error", "needs at least two labels with two people"),
        ("--people 60 --population EUR", "--split split.tsv", "label fidelity", "needs at least two labels"),
        ("--people 60", "", "membership AUC", "needs held-out people (holdout=…, --split)"),
        ("--people 60 --unphased", "--split split.tsv", "H12 RMSE", "needs phased haplotypes"),
        (
            "--people 16 --population EUR",
            "--split split.tsv",
            "LD RMSE",
            "needs at least 5 people, the holdout set has 4",
        ),
    ],
)
def test_odd_cohorts_get_a_table_with_reasons_a_report_and_a_gate_that_fails(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, simulate: str, evaluate: str, metric: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in (
        f"simulate --length 30000 --seed 4 --split split.tsv -o c.vcf.gz {simulate}",
        "train c.vcf.gz --panel c.panel.tsv --split split.tsv --baseline independent -o m",
        "generate m --like c.panel.tsv --split split.tsv -o s.vcf.gz",
    ):
        assert run(line)[0] == 0
    line = f"evaluate --real c.vcf.gz --panel c.panel.tsv --synthetic s.vcf.gz --gate --per-label {evaluate}"
    status, out, err = run(f"{line} --json e.json -o r.html --threshold '{metric}=1'")
    assert status == 3
    assert f"  {metric}: cannot be computed: {reason}" in err
    found = pgcgan.Evaluation.from_json((tmp_path / "e.json").read_text())
    assert found.get(metric).note.startswith(reason)
    assert found.get("AF RMSE").value > 0
    assert reason in out and reason in (tmp_path / "r.html").read_text()
    assert all(row.note for row in found.rows if row.value is None)


def test_figures_replace_nothing_unasked(run, tmp_path: Path) -> None:
    line = "evaluate --real cohort.vcf.gz --panel cohort.panel.tsv --synthetic made.vcf.gz --figures"
    (tmp_path / "file").write_text("")
    status, out, err = run(f"{line} {tmp_path}/file")
    assert (status, out) == (2, "")
    assert f"--figures {tmp_path}/file is a file; give a folder, which is made if it does not exist." in err
    (tmp_path / "pca.svg").write_text("mine")
    status, out, err = run(f"{line} {tmp_path}")
    assert (status, out) == (2, "")
    assert f"{tmp_path} holds SVG files already; --force replaces them, or choose another folder." in err
    assert (tmp_path / "pca.svg").read_text() == "mine"


def test_info_of_a_file_and_of_a_model(run, folder: Path) -> None:
    status, out, _ = run("info cohort.vcf.gz --panel cohort.panel.tsv --json")
    assert status == 0
    facts = json.loads(out)
    positions = [v.POS for v in cyvcf2.VCF(str(folder / "cohort.vcf.gz"))]
    assert facts["people"] == 120
    assert facts["sites"] == len(positions)
    assert facts["contigs"] == {"1": f"{min(positions)}-{max(positions)} ({len(positions)} sites)"}
    assert facts["phased"] is True
    assert facts["super_pop"] == {"AFR": 32, "AMR": 17, "EAS": 24, "EUR": 24, "SAS": 23}
    status, out, _ = run("info smote.model")
    assert status == 0
    assert "baseline: smote\n" in out
    assert "holds_training_rows: True\n" in out
    assert json.loads(run("info smote.model --json")[1])["label_counts"] == trained(folder)


def test_demo_with_a_baseline(run, tmp_path: Path) -> None:
    line = f"demo -o {tmp_path}/demo --people 60 --length 40000 --baseline independent"
    status, out, err = run(line)
    assert status == 0, err
    assert out.splitlines()[-1] == f"The report: {tmp_path}/demo/report.html"
    assert {p.name for p in (tmp_path / "demo").iterdir()} == {
        *("cohort.vcf.gz", "cohort.vcf.gz.tbi", "cohort.panel.tsv", "split.tsv", "model"),
        *("synthetic.vcf.gz", "synthetic.vcf.gz.tbi", "synthetic.panel.tsv", "report.html"),
    }
    # it says what it does in commands that work
    commands = [line.removeprefix("$ pgcgan ") for line in err.splitlines() if line.startswith("$ ")]
    assert [c.split()[0] for c in commands] == ["simulate", "train", "generate", "evaluate"]
    before = (tmp_path / "demo" / "synthetic.vcf.gz").read_bytes()
    records = gzip.decompress(before).split(b"#CHROM")[1]
    assert run(commands[2] + " --force")[0] == 0
    assert gzip.decompress((tmp_path / "demo" / "synthetic.vcf.gz").read_bytes()).split(b"#CHROM")[1] == records
    assert run(line)[::2] == (
        2,
        f"pgcgan: error: {tmp_path}/demo exists and is not empty; --force replaces what an earlier demo wrote there.\n",
    )
    assert run(line + " --force")[0] == 0


def test_unphased_all_the_way(run, tmp_path: Path) -> None:
    for line in (
        f"simulate --people 50 --length 30000 --unphased -o {tmp_path}/c.vcf.gz",
        f"train {tmp_path}/c.vcf.gz --panel {tmp_path}/c.panel.tsv --baseline smote -o {tmp_path}/m",
        f"generate {tmp_path}/m -n 10 -o {tmp_path}/s.vcf.gz",
    ):
        assert run(line)[0] == 0
    phases = {call[2] for v in cyvcf2.VCF(str(tmp_path / "s.vcf.gz")) for call in v.genotypes}
    assert phases == {False}


# ---- how it stops ---------------------------------------------------------------------------------------------------

TRAIN = "train cohort.vcf.gz --panel cohort.panel.tsv"
EVALUATE = "evaluate --real cohort.vcf.gz --panel cohort.panel.tsv"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("trian x", 'Unknown command "trian". Did you mean "train"? Available commands: …'),
        ("train", 'Command "train" parameter VCF requires an argument. (pgcgan --help)'),
        (f"{TRAIN} -o new --frob", "Unknown option: --frob.…"),
        (f"{TRAIN} -o new --seed one", 'Invalid value for --seed: unable to convert "one" into int. (pgcgan --help)'),
        (
            f"{TRAIN} -o --force",
            "The output '--force' looks like an option; accepted: a name (./--force if that is the name).",
        ),
        (f"{TRAIN} -o smote.model", "smote.model exists; --force replaces it, or choose another name."),
        (f"{TRAIN} -o no/where", "The folder no of the output no/where does not exist."),
        (
            f"{TRAIN} -o new --baseline gan",
            "Unknown baseline 'gan'; accepted: independent, li-stephens, pca-gaussian, smote.",
        ),
        (
            f"{TRAIN} -o new --baseline smote --minutes 3",
            "--minutes is for the model and has no meaning with --baseline smote; leave it out.",
        ),
        (
            f"{TRAIN} -o new --baseline smote --segment-length 3",
            "--segment-length is not an option of the smote baseline; its options: --neighbours.",
        ),
        (
            f"{TRAIN} -o new --neighbours 3",
            "The baseline options are for --baseline NAME; the model does not have them.",
        ),
        (
            f"{TRAIN} -o new --baseline smote --label disease",
            "There is no label 'disease'; labels here: pop, super_pop, gender. "
            "Labels come from the panel file (panel=…, --panel).",
        ),
        (
            f"{TRAIN} -o new --baseline smote --split short.tsv",
            "118 samples are not in short.tsv: AFR_0003, AFR_0004, AFR_0005 and …",
        ),
        (
            f"{TRAIN} -o new --baseline smote --split other.tsv --intersect",
            "None of the 120 samples is 'train' in other.tsv.",
        ),
        (f"{TRAIN} -o new --baseline smote --min-maf 0.7", "min_maf is 0.7; accepted: 0 to 0.5."),
        ("train none.vcf.gz --panel cohort.panel.tsv --baseline smote -o new", "There is no file none.vcf.gz."),
        (
            "generate smote.model -n EUR=1 --balance -o new.vcf",
            "How many people is said by exactly one of -n, --like and --balance; given: -n and --balance.",
        ),
        (
            "generate smote.model -o new.vcf",
            "How many people is said by exactly one of -n, --like and --balance; given: none.",
        ),
        (
            "generate smote.model -n 5 -o new.vcf --split split.tsv",
            "--split goes with --like, whose people it restricts to those for training, or with --real, which it "
            "divides into those trained on and those held out.",
        ),
        ("generate smote.model -n GBR=1 -o new.vcf", "Unknown label 'GBR'; the model knows: AFR, AMR, EAS, EUR, SAS."),
        ("generate smote.model -n EUR=x -o new.vcf", "-n EUR=x: 'x' is not a whole number, 0 or more."),
        ("generate smote.model -n -4 -o new.vcf", "-n -4: '-4' is not a whole number, 0 or more."),
        ("generate smote.model -n EUR=1 -n EUR=2 -o new.vcf", "-n gives EUR twice: 1 and 2."),
        (
            "generate smote.model -n EUR=1 -n 2 -o new.vcf",
            "-n 2: accepted are one number (-n 1000), or LABEL=COUNT as often as needed.",
        ),
        (
            "generate smote.model -n 0 -o new.vcf",
            "Nobody is asked for; give at least one person, for example 1000 or EUR=500.",
        ),
        (
            "generate smote.model -n 1 -o made.vcf.gz",
            "made.vcf.gz exists; --force replaces it, or choose another name.",
        ),
        (
            "generate smote.model -n 1 -o new.vcf --prefix a/b",
            "The prefix is 'a/b'; accepted: letters, digits, '-', '.' and '_', at least one.",
        ),
        (
            "generate smote.model -n 1 -o new.txt",
            "The format of new.txt is not known; accepted: names that end in .vcf…",
        ),
        (
            "generate smote.model --like split.tsv -o new.vcf",
            "split.tsv has no column 'super_pop', by which the model generates; its columns: split.",
        ),
        (
            "generate nothing -n 1 -o new.vcf",
            "There is no model directory nothing; pgcgan train … -o nothing makes one.",
        ),
        (
            f"{EVALUATE} --synthetic bare.vcf",
            "The labels of the artificial people are looked for in bare.panel.tsv, which is not there; name them by "
            "--synthetic-panel.",
        ),
        (f"{EVALUATE} --synthetic made.vcf.gz -o made.vcf.gz", "made.vcf.gz exists; --force replaces it, or choose…"),
        (
            f"{EVALUATE} --synthetic made.vcf.gz --split all.tsv",
            "all.tsv holds out nobody: every sample is 'train'; leave --split out to go without floors.",
        ),
        (
            f"{EVALUATE} --synthetic made.vcf.gz -o new.txt",
            "The form of new.txt is not known; accepted: names that end…",
        ),
        (f"{EVALUATE} --synthetic made.vcf.gz --threshold 'AF RMSE=1'", "--threshold goes with --gate."),
        (
            f"{EVALUATE} --synthetic made.vcf.gz --gate --threshold AF",
            "--threshold 'AF' cannot be read; accepted: METRIC…",
        ),
        ("report none.json -o new.html", "There is no file none.json; pgcgan evaluate … -o none.json makes one."),
        ("report split.tsv -o new.html", "split.tsv: This is not an evaluation in JSON (…"),
        ("report none.json -o new.json", "The output new.json is not a report; accepted: a name that ends in .html."),
        ("compare none.json none.json", "There is no file none.json; pgcgan evaluate … -o none.json makes one."),
        (
            "generate smote.model -n 1 -o new.vcf --min-distance 3",
            "--min-distance needs --real: the people that the mo…",
        ),
        ("generate smote.model -n 1 -o new.vcf --release", "--release needs --real, --panel and --split: the people…"),
        ("generate smote.model -n 1 -o new.vcf --real cohort.vcf.gz", "--real goes with --release or --min-distance;…"),
        ("generate smote.model -n 1 -o new.vcf --panel cohort.panel.tsv", "--panel goes with --release."),
        (
            "generate smote.model -n 1 -o new.vcf --region 1",
            "The reading options are for the file of --real, which is…",
        ),
        (
            "generate smote.model -n 1 -o new.vcf --real cohort.vcf.gz --min-distance 0",
            "The minimum distance is 0; accepted: a whole number of sites (1 or more), or a share of the sites between "
            "0 and 1.",
        ),
        (
            "info smote.model --panel cohort.panel.tsv",
            "smote.model is a model directory: --panel and the reading options…",
        ),
        ("info none.vcf", "There is no file none.vcf."),
        ("simulate --people 0 -o new.vcf", "simulate: the number of people is 0; accepted: a whole number, 1 or more."),
        (
            "simulate --population GBR -o new.vcf",
            "simulate: unknown population 'GBR'; accepted: AFR, AMR, EAS, EUR, SAS.",
        ),
    ],
)
def test_errors_are_one_line_and_leave_nothing(run, folder: Path, line: str, message: str) -> None:
    samples = [row.split("\t")[0] for row in (folder / "cohort.panel.tsv").read_text().splitlines()[1:]]
    (folder / "short.tsv").write_text(f"sample\tsplit\n{samples[0]}\ttrain\n{samples[1]}\ttest\n")
    (folder / "other.tsv").write_text("sample\tsplit\nNA1\ttrain\n")
    (folder / "all.tsv").write_text("sample\tsplit\n" + "".join(f"{name}\ttrain\n" for name in samples))
    before = sorted(folder.rglob("*"))
    status, out, err = run(line)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    if message.endswith("…"):  # the rest is a list, or another module's to pin
        assert err.startswith(f"pgcgan: error: {message[:-1]}")
    else:
        assert err == f"pgcgan: error: {message}\n"
    assert sorted(folder.rglob("*")) == before


def test_intersect_reports_and_goes_on(run, folder: Path, tmp_path: Path) -> None:
    rows = (folder / "cohort.panel.tsv").read_text().splitlines()
    (tmp_path / "part.tsv").write_text("\n".join(rows[:100]) + "\n")
    line = f"train cohort.vcf.gz --panel {tmp_path}/part.tsv --baseline independent -o {tmp_path}/m"
    status, _, err = run(line)
    assert status == 2
    assert "only in cohort.vcf.gz: 21 (" in err
    assert "--intersect" in err
    status, _, err = run(line + " --intersect")
    assert status == 0
    assert err.startswith("pgcgan: note: ")
    assert "only in cohort.vcf.gz: 21 (" in err
    assert "independent fitted to 99 people" in err


def test_ctrl_c_ends_with_one_line_and_130(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pgcgan.simulation.simulate", stopped)
    assert run(f"simulate -o {tmp_path}/new.vcf") == (130, "", "pgcgan: interrupted\n")
    assert not list(tmp_path.iterdir())


def test_a_defect_keeps_its_traceback(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("pgcgan.simulation.simulate", broken)
    with pytest.raises(ZeroDivisionError, match="ours"):
        run(f"simulate -o {tmp_path}/new.vcf")


def test_a_folder_that_cannot_be_written(run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, _, err = run(f"simulate --people 5 --length 20000 -o {tmp_path}/file/new.vcf")
    assert (status, err) == (
        2,
        f"pgcgan: error: The folder {tmp_path}/file of the output {tmp_path}/file/new.vcf does not exist.\n",
    )


def test_version_and_help(run) -> None:
    assert run("--version") == (0, f"{pgcgan.__version__}\n", "")
    status, out, _ = run("--help")
    assert status == 0
    assert all(f"│ {command} " in out for command in ("simulate", "train", "generate", "evaluate", "info", "demo"))
    for command in ("simulate", "train", "generate", "evaluate", "report", "compare", "info", "demo"):
        status, out, _ = run(f"{command} --help")
        assert status == 0
        assert out.startswith(f"Usage: pgcgan {command}")


def test_help_waits_for_no_heavy_library() -> None:
    # within a second on an idle machine: what takes time is left unimported
    line = "from pgcgan.cli import main; import sys; main(['train', '--help']); print(*sys.modules, file=sys.stderr)"
    found = subprocess.run([sys.executable, "-c", line], check=True, capture_output=True, text=True)
    heavy = {"torch", "sklearn", "scipy", "pysam", "msprime", "pandas", "jinja2"}
    assert not heavy & set(found.stderr.split())


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    program = f"{sys.executable} -c 'import sys; from pgcgan.cli import main; sys.exit(main())'"
    line = f"set -o pipefail; {program} generate smote.model -n 2000 -o - | head -n 1"
    run = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (141, "##fileformat=VCFv4.2\n")
    assert "Traceback" not in run.stderr


# ---- progress -------------------------------------------------------------------------------------------------------


def test_progress_is_plain_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moments = iter([0.0, 3.0, 10.0, 10.0, 12.0, 21.0, 21.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(moments))
    with progress.progress("training") as on_event:
        on_event({"stage": "prior", "step": 1, "fraction": 0.1, "loss": 2.0})
        on_event({"stage": "likelihood", "step": 20, "fraction": 0.25, "loss": 1.5, "metrics": {"AF RMSE": 0.01234567}})
        on_event({"stage": "likelihood", "step": 21, "fraction": 0.3, "loss": 1.5})
        on_event({"event": "measure", "topic": "linkage", "metric": "LD r", "done": 3, "total": 4})
    assert capsys.readouterr().err == "likelihood: 25%  step 20  loss 1.5  AF RMSE 0.01235\nlinkage: 75%  LD r\n"


def test_progress_is_a_live_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress.progress("training") as on_event:
        on_event({"stage": "adversarial", "step": 7, "fraction": 0.5, "loss": 1.5})
    text = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "adversarial" in text
    assert "50%" in text
    assert "step 7" in text


def test_settings_reach_the_model(run, folder: Path, tmp_path: Path) -> None:
    start = "train cohort.vcf.gz --panel cohort.panel.tsv --split split.tsv --min-maf 0.2 --steps 1"
    small = "--set hidden=8 --set embedding=4 --set adversarial_steps=2 --set loss=wgan-gp --set penalty=1"
    status, _, _ = run(f"{start} {small} -o {tmp_path / 'small.model'}")
    assert status == 0
    status, out, _ = run(f"info {tmp_path / 'small.model'} --json")
    facts = json.loads(out)
    assert status == 0 and facts["network"]["hidden"] == 8
    assert facts["training"]["loss"] == "wgan-gp" and facts["training"]["penalty"] == 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs", "--set 'epochs' cannot be read; accepted: NAME=VALUE, for example epochs=20."),
        ("epochs=many", "Setting epochs is 'many'; accepted: a number, like its default 0"),
        ("hidden=1.5", "Setting hidden is 1.5; accepted: a whole number, like its default 256."),
        ("loss=hinge", "Unknown loss 'hinge'; accepted: relativistic, wgan, wgan-gp."),
        ("layers=2", "Unknown setting 'layers'; accepted: "),
    ],
)
def test_a_setting_that_cannot_be_is_refused(run, tmp_path: Path, setting: str, message: str) -> None:
    line = f"train cohort.vcf.gz --panel cohort.panel.tsv --set {setting} -o {tmp_path / 'm'}"
    status, _, err = run(line)
    assert status == 2 and message in err
    assert not (tmp_path / "m").exists()

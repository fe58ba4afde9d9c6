"""The command line: what each command writes and prints."""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import cyvcf2
import numpy as np
import pytest
from command_line import Run, people_of, train_counts, train_samples

import pgcgan
import pgcgan.report
from pgcgan.genotypes import Genotypes
from pgcgan.metrics.gate import THRESHOLDS

EVALUATE = "evaluate --real cohort.vcf.gz --panel cohort.panel.tsv --split split.tsv --synthetic synthetic.vcf.gz"
RELEASE = "generate smote.model --like cohort.panel.tsv --split split.tsv --release --real cohort.vcf.gz"


def parts_by_hand() -> tuple[Genotypes, Genotypes, Genotypes]:
    """Return the training, synthetic and held-out people at the sites of the model, taken apart without the command."""
    real = pgcgan.read("cohort.vcf.gz", "cohort.panel.tsv")
    synthetic = pgcgan.read("synthetic.vcf.gz", "synthetic.panel.tsv")
    real = real.select(sites=np.isin(real.variants.position, synthetic.variants.position))
    train = train_samples(Path())
    rest = [name for name in real.samples if name not in set(train)]
    return real.select(samples=train), synthetic, real.select(samples=rest)


# ---- simulate, train, generate ------------------------------------------------------------------------------------


def test_simulate_writes_a_cohort_its_panel_and_a_split(prepared: Path) -> None:
    vcf = cyvcf2.VCF(str(prepared / "cohort.vcf.gz"))
    real = pgcgan.simulate(120, length=60_000, seed=3)
    assert vcf.samples == real.samples.tolist()
    assert np.array_equal([v.genotype.array()[:, :2] for v in vcf], real.calls)
    assert (prepared / "cohort.vcf.gz.tbi").exists()
    panel = (prepared / "cohort.panel.tsv").read_text().splitlines()
    assert panel[0] == "sample\tpop\tsuper_pop\tgender"
    assert len(panel) == 121
    split = Counter(line.split("\t")[1] for line in (prepared / "split.tsv").read_text().splitlines()[1:])
    assert split["train"] == pytest.approx(96, abs=3)
    assert split["train"] + split["test"] == 120


def test_generate_like_a_panel_and_a_split(prepared: Path) -> None:
    assert people_of(prepared / "synthetic.vcf.gz") == train_counts(prepared)
    train = pgcgan.read(prepared / "cohort.vcf.gz").select(samples=train_samples(prepared))
    common = train.select(min_maf=0.02).variants.position
    assert [v.POS for v in cyvcf2.VCF(str(prepared / "synthetic.vcf.gz"))] == common.tolist()


def test_exact_counts(run: Run) -> None:
    status, out, err = run("generate smote.model -n EUR=7 -n AFR=1 --seed 5 -o a.vcf.gz --prefix ART")
    assert (status, out) == (0, "")
    assert all(name in err for name in ("8 people", "a.vcf.gz", "a.vcf.gz.tbi", "a.panel.tsv"))
    assert people_of(Path("a.vcf.gz")) == {"AFR": 1, "EUR": 7}
    assert cyvcf2.VCF("a.vcf.gz").samples[0] == "ART-AFR-000001"
    assert run("generate smote.model -n 331 -o b.bcf")[0] == 0
    counts, real = people_of(Path("b.bcf")), train_counts(Path())
    assert sum(counts.values()) == 331
    assert all(abs(counts[k] - 331 * real[k] / sum(real.values())) < 1 for k in real)
    status, out, _ = run("generate two.model -n EUR/male=2 -o -")
    assert status == 0
    header = next(line for line in out.splitlines() if line.startswith("#CHROM"))
    assert header.split("\t")[9:] == ["SYN-EUR-male-000001", "SYN-EUR-male-000002"]


def test_balance_fills_every_label_up_to_the_largest(run: Run) -> None:
    assert run("generate smote.model --balance -o a.vcf")[0] == 0
    real = train_counts(Path())
    most = max(real.values())
    assert people_of(Path("a.vcf")) == Counter({k: most - v for k, v in real.items() if v < most})


def test_like_with_several_labels(run: Run) -> None:
    assert run("generate two.model --like cohort.panel.tsv --split split.tsv -o a.vcf")[0] == 0
    labels = pgcgan.read_panel("a.panel.tsv")
    pairs = zip(labels["super_pop"].values(), labels["gender"].values(), strict=True)
    assert Counter(map("/".join, pairs)) == train_counts(Path(), "super_pop", "gender")


def test_start_goes_on_where_the_people_before_ended(run: Run) -> None:
    for line in ("-n 90 -o whole.bcf", "-n 50 -o first.bcf", "-n 40 --start 50 -o second.bcf"):
        assert run(f"generate smote.model --seed 2 {line}")[0] == 0
    whole, first, second = (pgcgan.read(f"{name}.bcf") for name in ("whole", "first", "second"))
    assert {*first.samples, *second.samples} == {*whole.samples}
    both = pgcgan.concat([first, second]).select(samples=whole.samples.tolist())
    assert np.array_equal(both.calls, whole.calls)


def test_the_same_command_line_twice_gives_the_same_bytes(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        for line in (
            "simulate --people 30 --length 30000 --seed 8 --split split.tsv -o c.vcf.gz",
            "train c.vcf.gz --panel c.panel.tsv --model pca-gaussian --components 5 -o m --seed 2",
            "generate m -n 40 --seed 4 -o s.vcf.gz",
        ):
            assert run(line)[0] == 0
        contents.append({p.name: p.read_bytes() for p in (tmp_path / name).iterdir() if p.is_file()})
    names = {"c.vcf.gz", "c.vcf.gz.tbi", "c.panel.tsv", "split.tsv", "s.vcf.gz", "s.vcf.gz.tbi", "s.panel.tsv"}
    assert contents[0].keys() == names
    assert contents[0] == contents[1]
    assert b"##pgcganCommand=pgcgan generate m -n 40 --seed 4 -o s.vcf.gz\n" in gzip.decompress(contents[0]["s.vcf.gz"])


def test_unphased_all_the_way(run: Run) -> None:
    for line in (
        "simulate --people 50 --length 30000 --unphased -o c.vcf.gz",
        "train c.vcf.gz --panel c.panel.tsv --model smote -o m",
        "generate m -n 10 -o s.vcf.gz",
    ):
        assert run(line)[0] == 0
    assert {call[2] for v in cyvcf2.VCF("s.vcf.gz") for call in v.genotypes} == {False}


def test_options_and_settings_reach_the_model(run: Run) -> None:
    start = "train cohort.vcf.gz --panel cohort.panel.tsv --split split.tsv --min-maf 0.2"
    for name, options, expected in (
        ("h.model", "--set min_carriers=5 --set calibrate=False --set run_carriers=9 --set inverse_temperature=1",
         {"min_carriers": 5, "calibrate": False, "run_carriers": 9, "inverse_temperature": 1}),
        ("l.model", "--model li-stephens --segment-length 5000 --mutation 0.01",
         {"segment_length": 5000.0, "mutation": 0.01}),
    ):  # fmt: skip
        assert run(f"{start} {options} --seed 7 -o {name}")[0] == 0
        facts = json.loads(run(f"info {name} --json")[1])
        assert facts["parameters"] == expected
        assert (facts["seed"], facts["label_counts"]) == (7, train_counts(Path()))


def test_near_copies_are_refused_and_counted(run: Run) -> None:
    line = "generate smote.model -n EUR=12 --real cohort.vcf.gz --split split.tsv --min-distance 3 --seed 2"
    status, _, err = run(f"{line} -o a.vcf")
    assert status == 0
    refused = int(re.match(r"(\d+) people refused", err)[1])  # type: ignore[index]
    synthetic = pgcgan.read("a.vcf")
    real = pgcgan.read("cohort.vcf.gz").select(samples=train_samples(Path()))
    rows = real.select(sites=np.isin(real.variants.position, synthetic.variants.position)).haplotypes()
    assert people_of(Path("a.vcf")) == {"EUR": 12}
    assert min(int((rows != haplotype).sum(axis=1).min()) for haplotype in synthetic.haplotypes()) >= 3
    assert refused > 0
    assert run(f"{line} -o b.vcf")[0] == 0
    assert pgcgan.read("b.vcf").equals(synthetic)


def test_a_release_is_written_only_if_the_gate_passes(run: Run) -> None:
    line = f"{RELEASE} --panel cohort.panel.tsv -o out.vcf.gz"
    before = sorted(Path().iterdir())
    status, out, err = run(line)
    assert (status, out) == (3, "")
    assert "pgcgan: gate failed: " in err and err.endswith("nothing was written\n")
    assert sorted(Path().iterdir()) == before
    off = " ".join(f"--threshold '{m}=off'" for m in THRESHOLDS if m != "AF RMSE")
    status, _, err = run(f"{line} {off}")
    assert status == 0
    assert "gate passed: all 1 checks" in err
    assert people_of(Path("out.vcf.gz")) == train_counts(Path())
    total = sum(train_counts(Path()).values())
    assert f"released from smote.model so far: {total} people in 1 sets" in err
    assert pgcgan.load("smote.model").sample(3, seed=0).n_samples == 3  # the record has no digest to break
    status, _, err = run(f"{line} {off} --seed 5 --force")
    assert f"and {total} further ones of the same model" in err
    assert f"{2 * total} people in 2 sets" in err
    status, _, err = run(f"{line} {off} --seed 5 --force")
    assert f"{2 * total} people in 2 sets" in err  # the same people again


# ---- evaluate, report, compare ------------------------------------------------------------------------------------


def test_evaluate_prints_the_table_and_writes_json_and_report(run: Run) -> None:
    status, out, err = run(f"{EVALUATE} --json e.json -o report.html --figures figures")
    assert status == 0
    assert out.splitlines()[0].split()[:4] == ["topic", "metric", "value", "floor"]
    assert re.search(r"^frequency +AF RMSE +0\.\d+ +0\.\d+", out, re.MULTILINE)
    page = Path("report.html").read_text()
    figures = re.findall('<figure id="([^"]+)"', page)
    assert all(name in err for name in ("e.json", "report.html", *(f"figures/{name}.svg" for name in figures)))
    assert sorted(p.stem for p in Path("figures").iterdir()) == sorted(figures)
    assert page.startswith("<!doctype html>")
    saved = pgcgan.Evaluation.from_json(Path("e.json").read_text())
    # the numbers are those of the library
    train, synthetic, holdout = parts_by_hand()
    direct = pgcgan.evaluate(train, synthetic, holdout=holdout)
    assert [r.value for r in direct.rows] == [r.value for r in saved.rows]
    # rows of each label on demand only
    assert not re.search(r" EUR ", out)


def test_the_json_on_standard_output_is_the_whole_output(run: Run) -> None:
    line = "evaluate --real cohort.vcf.gz --panel cohort.panel.tsv --synthetic synthetic.vcf.gz --per-label --json -"
    status, out, _ = run(line)
    assert status == 0
    saved = pgcgan.Evaluation.from_json(out)
    assert re.search(r"AF RMSE +EUR ", saved.table(per_label=True))
    assert saved.get("membership AUC").value is None  # nobody is held out


def test_a_report_shows_other_models_augmentation_and_training(run: Run) -> None:
    train, _, holdout = parts_by_hand()
    another = pgcgan.PCAGaussian("super_pop", seed=4).fit(train)
    another.save("another.model")
    status, out, _ = run(
        f"{EVALUATE} --beside independent --beside another.model --augment AFR --model smote.model --seed 2 -o e.json"
    )
    assert status == 0 and re.search(r"augmentation F1 of AFR, 10 kept +0\.\d", out)
    saved = pgcgan.Evaluation.from_json(Path("e.json").read_text())
    assert list(saved.figures["baselines"]) == ["independent", "pca-gaussian"]
    assert "training" not in saved.figures  # smote is not trained step by step
    # the rows of another model are those of its people, evaluated by hand
    others = {"independent": pgcgan.IndependentSites("super_pop", seed=2).fit(train), "pca-gaussian": another}
    for name, generator in others.items():
        people = generator.sample(train_counts(Path()), seed=2)
        direct = pgcgan.evaluate(train, people, holdout=holdout, seed=2)
        shown = {r["metric"]: r["value"] for r in saved.figures["baselines"][name]}
        assert all(shown[metric] == direct.get(metric).value for metric in ("LD RMSE", "membership AUC"))
    assert run("report e.json -o e.html")[0] == 0
    page = Path("e.html").read_text()
    assert "augmentation" in re.findall('<figure id="([^"]+)"', page)
    assert "pca-gaussian" in page


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        ("--beside magic", ("magic", "independent, li-stephens, pca-gaussian, smote")),
        ("--beside magic/model", ("magic/model",)),
        ("--augment MARS", ("MARS", "AFR")),
        ("--model prepared", ("prepared", "model.json")),
        ("--beside smote --synthetic-panel no.tsv", ("no.tsv",)),
    ],
)
def test_what_cannot_be_compared_is_refused(run: Run, options: str, facts: tuple[str, ...]) -> None:
    Path("prepared").mkdir()
    status, _, err = run(f"{EVALUATE} {options} -o never.json")
    assert status == 2 and all(fact in err for fact in facts), err
    assert not Path("never.json").exists()


def test_a_report_is_drawn_again_from_json_and_two_are_compared(run: Run) -> None:
    assert run(f"{EVALUATE} -o smote.json")[0] == 0
    status, _, err = run("report smote.json -o smote.html")
    assert status == 0 and "smote.html" in err
    saved = pgcgan.Evaluation.from_json(Path("smote.json").read_text())
    assert Path("smote.html").read_text() == pgcgan.report.render(saved)
    assert run(f"{EVALUATE} --seed 1 -o other.json")[0] == 0
    status, out, err = run("compare smote.json other.json --json both.json")
    assert status == 0 and "both.json" in err
    assert {"metric", "floor", "smote", "other", "aim"} <= set(out.splitlines()[0].split())
    assert re.search(r"^- .*seed.* 0 .* 1\b", out, re.MULTILINE)
    content = json.loads(Path("both.json").read_text())
    assert len(content["lines"]) == len(saved.rows)
    assert json.loads(run("compare smote.json other.json --json -")[1]) == content


def test_shadow_models_and_more_sets_are_attacked(run: Run) -> None:
    status, out, _ = run(f"{EVALUATE} --model smote.model --shadow 1 --times 3 --json -")
    provenance = json.loads(out)["provenance"]
    assert status == 0 and provenance["shadow models"] == 1
    assert provenance["further synthetic people"] == 2 * sum(train_counts(Path()).values())


def test_the_gate_ends_with_3_and_the_report_is_written_all_the_same(run: Run) -> None:
    status, out, err = run(f"{EVALUATE} --gate -o report.html")
    assert status == 3
    assert "AF RMSE" in out
    assert Path("report.html").exists()
    assert re.search(r"^pgcgan: gate failed: \d+ of \d+ checks$", err, re.MULTILINE)
    assert re.search(r"^  held-out people: \d+ people is below 50$", err, re.MULTILINE)
    off = " ".join(f"--threshold '{m}=off'" for m in THRESHOLDS if m != "AF RMSE")
    status, _, err = run(f"{EVALUATE} --gate {off} --threshold 'AF RMSE=5x'")
    assert status == 0 and "gate passed: all 1 checks\n" in err


@pytest.mark.parametrize(
    ("simulate", "evaluate", "metric", "reason"),
    [
        ("--people 60 --population EUR", "--split split.tsv", "Fst error", "needs at least two labels"),
        ("--people 60", "", "membership AUC", "needs held-out people"),
        ("--people 60 --unphased", "--split split.tsv", "H12 RMSE", "needs phased haplotypes"),
        ("--people 16 --population EUR", "--split split.tsv", "LD RMSE", "needs at least 5 people"),
    ],
)
def test_odd_cohorts_get_a_table_with_reasons_a_report_and_a_gate_that_fails(
    run: Run, simulate: str, evaluate: str, metric: str, reason: str
) -> None:
    for line in (
        f"simulate --length 30000 --seed 4 --split split.tsv -o c.vcf.gz {simulate} --force",
        "train c.vcf.gz --panel c.panel.tsv --split split.tsv --model independent -o m",
        "generate m --like c.panel.tsv --split split.tsv -o s.vcf.gz",
    ):
        assert run(line)[0] == 0
    line = f"evaluate --real c.vcf.gz --panel c.panel.tsv --synthetic s.vcf.gz --gate --per-label {evaluate}"
    status, out, err = run(f"{line} --json e.json -o r.html --threshold '{metric}=1'")
    assert status == 3
    assert re.search(rf"^  {metric}: .*{reason}", err, re.MULTILINE)
    saved = pgcgan.Evaluation.from_json(Path("e.json").read_text())
    assert saved.get(metric).note.startswith(reason)
    assert saved.get("AF RMSE").value > 0  # type: ignore[operator]
    assert reason in out and reason in Path("r.html").read_text()
    assert all(row.note for row in saved.rows if row.value is None)


def test_figures_replace_nothing_unasked(run: Run) -> None:
    line = "evaluate --real cohort.vcf.gz --panel cohort.panel.tsv --synthetic synthetic.vcf.gz --figures"
    status, out, err = run(f"{line} split.tsv")
    assert (status, out) == (2, "") and "--figures split.tsv" in err
    Path("drawn").mkdir()
    Path("drawn/pca.svg").write_text("old")
    status, out, err = run(f"{line} drawn")
    assert (status, out) == (2, "") and "drawn" in err and "--force" in err
    assert Path("drawn/pca.svg").read_text() == "old"


# ---- info, demo ---------------------------------------------------------------------------------------------------


def test_info_of_a_file_and_of_a_model(run: Run) -> None:
    status, out, _ = run("info cohort.vcf.gz --panel cohort.panel.tsv --json")
    assert status == 0
    facts = json.loads(out)
    positions = [v.POS for v in cyvcf2.VCF("cohort.vcf.gz")]
    assert facts["people"] == 120
    assert facts["sites"] == len(positions)
    assert facts["contigs"] == {"1": f"{min(positions)}-{max(positions)} ({len(positions)} sites)"}
    assert facts["phased"] is True
    assert facts["super_pop"] == {"AFR": 32, "AMR": 17, "EAS": 24, "EUR": 24, "SAS": 23}
    status, out, _ = run("info smote.model")
    assert status == 0
    assert {"model: smote", "holds training rows: yes"} <= set(out.splitlines())
    assert json.loads(run("info smote.model --json")[1])["label_counts"] == train_counts(Path())


def test_the_card_of_a_model_shows_the_figures_of_an_evaluation(run: Run) -> None:
    assert run(f"{EVALUATE} -o e.json")[0] == 0
    figures = pgcgan.Evaluation.from_json(Path("e.json").read_text())
    status, out, _ = run("card smote.model")
    assert status == 0 and out == Path("smote.model/MODEL_CARD.md").read_text()
    assert run("card smote.model --evaluation e.json -o card.md")[0] == 0
    shown = f"{figures.get('LD RMSE').value:.4g}"
    assert shown in Path("card.md").read_text() and shown not in out
    status, _, err = run("card smote.model -o card.md")
    assert status == 2 and "card.md" in err and "--force" in err


def test_demo_shows_the_whole_way(run: Run) -> None:
    pytest.importorskip("torch")
    line = "demo -o demo --people 60 --length 30000 --minutes 0.05"
    status, out, err = run(line)
    assert status == 0, err
    assert out.splitlines()[-1] == "The report: demo/report.html"
    assert sorted(p.name for p in Path("demo").glob("*.model")) == ["gan.model", "haplotype.model"]
    page = Path("demo/report.html").read_text()
    assert all(name in page for name in ("li-stephens", "independent", "gan"))
    # it prints what it does in commands that work
    commands = [line.removeprefix("$ pgcgan ") for line in err.splitlines() if line.startswith("$ ")]
    assert [c.split()[0] for c in commands] == ["simulate", "train", "train", "generate", "evaluate"]
    records = gzip.decompress(Path("demo/synthetic.vcf.gz").read_bytes()).split(b"#CHROM")[1]
    assert run(commands[3] + " --force")[0] == 0
    assert gzip.decompress(Path("demo/synthetic.vcf.gz").read_bytes()).split(b"#CHROM")[1] == records
    status, _, err = run(line)
    assert status == 2 and "demo exists" in err and "--force" in err


def test_demo_without_torch_leaves_the_gan_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments: dict[str, Any] = {}
    module = sys.modules["pgcgan.cli.demo"]
    monkeypatch.setattr(module, "evaluate", lambda **given: arguments.update(given))
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    status, _, err = run("demo -o demo --people 40 --length 20000")
    assert status == 0 and "pip install 'pgcgan[gan]'" in err
    assert [p.name for p in Path("demo").glob("*.model")] == ["haplotype.model"]
    assert arguments["more"].beside == ["independent", "li-stephens"]

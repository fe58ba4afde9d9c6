"""The command line: how it stops, what it imports, and its progress."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import PROGRAM, Run

import pgcgan
from pgcgan.runtime import progress

TRAIN = "train cohort.vcf.gz --panel cohort.panel.tsv"
EVALUATE = "evaluate --real cohort.vcf.gz --panel cohort.panel.tsv"

# a command line, and the facts that its error names: what was given, where, and what is accepted
ERRORS: list[tuple[str, list[str]]] = [
    ("trian x", ['"trian". Did you mean "train"? (']),
    ("train", ["VCF"]),
    ("train cohort.vcf.gz -o new", ["train", "--panel", "cohort.panel.tsv"]),
    ("convert cohort.vcf.gz -o new.pgen", ["'new.pgen'", "cohort.bcf"]),
    (f"{TRAIN} -o new --frob", ["--frob"]),
    (f"{TRAIN} -o new --seed one", ["--seed", "one"]),
    (f"{TRAIN} -o --force", ["'--force'", "./--force"]),
    (f"{TRAIN} -o smote.model", ["smote.model", "--force"]),
    (f"{TRAIN} -o synthetic.vcf.gz --force", ["synthetic.vcf.gz is a file"]),
    (f"{TRAIN} -o split.tsv --windows 50 --force", ["split.tsv is a file"]),
    ("train smote.model --panel cohort.panel.tsv -o new", ["smote.model is a model directory", "genotypes"]),
    ("train cohort.vcf.gz --panel pop.tsv -o new", ["pop.tsv", "super_pop", "default", "--label pop"]),
    (f"{TRAIN} -o no/where", ["no/where"]),
    (f"{TRAIN} -o new --model magic", ["magic", "haplotype", "gan", "paper", "independent", "smote"]),
    (f"{TRAIN} -o new --model smote --minutes 3", ["--minutes is for --model gan and paper", "smote", "--neighbours"]),
    (
        f"{TRAIN} -o new --model smote --segment-length 3",
        ["--segment-length is for --model li-stephens;", "smote", "--neighbours"],
    ),
    (f"{TRAIN} -o new --neighbours 3", ["--neighbours is for --model smote;", "haplotype", "none"]),
    (f"{TRAIN} -o new --resume", ["--resume", "gan", "paper", "--windows"]),
    (f"{TRAIN} -o new --executor serial", ["--executor", "--windows"]),
    (f"{TRAIN} -o new --windows 50 --model smote", ["--windows", "smote"]),
    (f"{TRAIN} -o new --windows 50 --threads 2", ["--threads", "haplotype"]),
    (f"{TRAIN} -o new --windows 50 --region 1", ["--windows", "--region"]),
    (f"{TRAIN} -o new --set min_carriers", ["--set 'min_carriers'", "NAME=VALUE"]),
    (f"{TRAIN} -o new --set min_carriers=many", ["min_carriers", "'many'", "a whole number"]),
    (f"{TRAIN} -o new --set min_carriers=0", ["min_carriers", "0", "1 or more"]),
    (f"{TRAIN} -o new --set coverage=2", ["coverage", "2", "0 to 1"]),
    (f"{TRAIN} -o new --set layers=2", ["'layers'", "min_carriers", "coverage"]),
    (f"{TRAIN} -o new --model smote --label disease", ["'disease'", "pop, super_pop, gender", "--panel"]),
    (f"{TRAIN} -o new --model smote --split short.tsv", ["118", "short.tsv", "AFR-0003", "--intersect"]),
    (f"{TRAIN} -o new --model smote --split other.tsv", ["120", "other.tsv", "NA1"]),
    (f"{TRAIN} -o new --model smote --split nobody.tsv", ["120", "'train'", "nobody.tsv"]),
    (f"{TRAIN} -o new --model smote --min-maf 0.7", ["min_maf", "0.7", "0 to 0.5"]),
    ("train none.vcf.gz --panel cohort.panel.tsv --model smote -o new", ["none.vcf.gz"]),
    ("generate smote.model -n EUR=1 --balance -o new.vcf", ["-n and --balance"]),
    ("generate smote.model -o new.vcf", ["-n, --like or --balance", "none"]),
    ("generate smote.model -n 5 -o new.vcf --split split.tsv", ["--split", "--like", "--real"]),
    ("generate smote.model -n GBR=1 -o new.vcf", ["'GBR'", "AFR, AMR, EAS, EUR, SAS"]),
    ("generate smote.model -n EUR=x -o new.vcf", ["-n EUR=x", "'x'"]),
    ("generate smote.model -n -4 -o new.vcf", ["-n is -4", "0 or more"]),
    ("generate smote.model -n AFR=10,EUR=20 -o new.vcf", ["-n AFR=10 -n EUR=20"]),
    ("generate smote.model -n EUR=1 -n EUR=2 -o new.vcf", ["-n", "EUR", "1 and 2"]),
    ("generate smote.model -n EUR=1 -n 2 -o new.vcf", ["-n 2", "LABEL=COUNT"]),
    ("generate smote.model -n 0 -o new.vcf", ["EUR=500"]),
    ("generate smote.model -n 1 -o synthetic.vcf.gz", ["synthetic.vcf.gz", "--force"]),
    ("generate smote.model -n 1 -o new.vcf --prefix a/b", ["'a/b'"]),
    ("generate smote.model -n 1 -o new.txt", ["new.txt", ".vcf"]),
    ("generate smote.model -n 1 -o new.vcf --executor serial", ["--executor", "--windows"]),
    ("generate smote.model -n 1 -o new.vcf --contig 6", ["--contig", "--windows"]),
    ("generate smote.model --like split.tsv -o new.vcf", ["split.tsv", "'super_pop'", "split"]),
    ("generate nothing -n 1 -o new.vcf", ["nothing"]),
    ("generate cohort.vcf.gz -n 1 -o new.vcf", ["cohort.vcf.gz is a file"]),
    ("generate smote.model -n 1 -o new.vcf --min-distance 3", ["--min-distance", "--real"]),
    ("generate smote.model -n 1 -o new.vcf --release", ["--release", "--real, --panel and --split"]),
    ("generate smote.model -n 1 -o new.vcf --real cohort.vcf.gz", ["--real", "--release or --min-distance"]),
    ("generate smote.model -n 1 -o new.vcf --panel cohort.panel.tsv", ["--panel", "--release"]),
    ("generate smote.model -n 1 -o new.vcf --region 1", ["--real"]),
    ("generate smote.model -n 1 -o new.vcf --real cohort.vcf.gz --min-distance 0", ["is 0"]),
    (
        "generate smote.model -n 1 -o new.vcf --real cohort.vcf.gz --min-distance 1 --start 2",
        ["--start", "--min-distance"],
    ),
    (f"{EVALUATE} --synthetic bare.vcf", ["bare.panel.tsv", "--synthetic-panel"]),
    (f"{EVALUATE} --synthetic synthetic.vcf.gz -o synthetic.vcf.gz", ["synthetic.vcf.gz", "--force"]),
    (f"{EVALUATE} --synthetic synthetic.vcf.gz --split all.tsv", ["all.tsv", "'train'", "--split"]),
    (f"{EVALUATE} --synthetic synthetic.vcf.gz -o new.txt", ["new.txt", ".html", ".json"]),
    (f"{EVALUATE} --synthetic synthetic.vcf.gz --threshold 'AF RMSE=1'", ["--threshold", "--gate"]),
    (f"{EVALUATE} --synthetic synthetic.vcf.gz --shadow 2", ["--shadow", "--model"]),
    (f"{EVALUATE} --synthetic synthetic.vcf.gz --times 20", ["--times", "--model"]),
    (f"{EVALUATE} --synthetic synthetic.vcf.gz --model smote.model --times 0", ["--times is 0", "1 or more"]),
    (f"{EVALUATE} --synthetic synthetic.vcf.gz --gate --threshold AF", ["--threshold 'AF'", "METRIC"]),
    ("report none.json -o new.html", ["none.json"]),
    ("report split.tsv -o new.html", ["split.tsv", "JSON"]),
    ("report none.json -o new.json", ["new.json", ".html"]),
    (
        "windows evaluate nothing --real cohort.vcf.gz --panel cohort.panel.tsv --synthetic x.vcf -o some.html --force",
        ["nothing"],
    ),
    ("compare some.html none.json", ["some.html", "evaluate", "NAME.json"]),
    ("compare none.json none.json", ["none.json"]),
    ("info smote.model --panel cohort.panel.tsv", ["smote.model", "--panel"]),
    ("info --panel cohort.panel.tsv", ["--panel"]),
    ("info none.vcf", ["none.vcf"]),
    ("card cohort.vcf.gz", ["cohort.vcf.gz is a file"]),
    ("completion tcsh", ["tcsh", "bash", "zsh", "fish"]),
    ("simulate --people 0 -o new.vcf", ["people is 0", "1 or more"]),
    ("simulate --population GBR -o new.vcf", ["GBR", "--population", "AFR", "AMR", "EAS", "EUR", "SAS"]),
    ("info cohort.vcf.gz --multiallelic skip", ["skip", "--multiallelic", "error", "split", "drop"]),
    ("simulate --people 5 -o split.tsv/new.vcf", ["split.tsv/new.vcf"]),
]


def test_errors_are_one_line_name_the_facts_and_leave_nothing(run: Run) -> None:
    samples = [row.split("\t")[0] for row in Path("cohort.panel.tsv").read_text().splitlines()[1:]]
    Path("short.tsv").write_text(f"sample\tsplit\n{samples[0]}\ttrain\n{samples[1]}\ttest\n")
    Path("other.tsv").write_text("sample\tsplit\nNA1\ttrain\n")
    Path("all.tsv").write_text("sample\tsplit\n" + "".join(f"{name}\ttrain\n" for name in samples))
    Path("nobody.tsv").write_text("sample\tsplit\nNA1\ttrain\n" + "".join(f"{name}\ttest\n" for name in samples))
    Path("pop.tsv").write_text("sample\tpop\n" + "".join(f"{name}\tGBR\n" for name in samples))
    Path("some.html").write_text("<!doctype html>")
    before = sorted(Path().rglob("*"))
    for line, facts in ERRORS:
        status, out, err = run(line)
        assert (status, out) == (2, ""), line
        assert err.startswith("pgcgan: error: ") and err.count("\n") == 1, err
        assert [fact for fact in facts if fact not in err] == [], f"{line}: {err}"
        assert sorted(Path().rglob("*")) == before, line


def test_intersect_reports_and_goes_on(run: Run) -> None:
    rows = Path("cohort.panel.tsv").read_text().splitlines()
    Path("part.tsv").write_text("\n".join(rows[:100]) + "\n")
    line = "train cohort.vcf.gz --panel part.tsv --model independent -o m"
    status, _, err = run(line)
    assert status == 2
    assert "only in cohort.vcf.gz: 21 (" in err and "--intersect" in err
    status, _, err = run(line + " --intersect")
    assert status == 0
    assert err.startswith("pgcgan: note: ") and "only in cohort.vcf.gz: 21 (" in err
    assert "99 people" in err


def test_ctrl_c_ends_with_one_line_and_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pgcgan.simulation.simulate", stopped)
    assert run("simulate -o new.vcf") == (130, "", "pgcgan: interrupted\n")
    assert not Path("new.vcf").exists()


def test_a_defect_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("pgcgan.simulation.simulate", broken)
    with pytest.raises(ZeroDivisionError, match="ours"):
        run("simulate -o new.vcf")


def test_a_reader_that_goes_away_is_no_error(prepared: Path) -> None:
    command = 'set -o pipefail; "$@" generate smote.model -n 2000 -o - | head -n 1'
    done = subprocess.run(["bash", "-c", command, "-", *PROGRAM], cwd=prepared, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (141, "##fileformat=VCFv4.2\n")
    assert "Traceback" not in done.stderr


# ---- what is imported, and when -----------------------------------------------------------------------------------

COMMANDS = (
    "card", "compare", "completion", "convert", "demo", "estimate", "evaluate", "fetch", "generate", "info", "report",
    "simulate", "train", "windows",
)  # fmt: skip


def test_version_and_help(run: Run) -> None:
    assert run("--version") == (0, f"{pgcgan.__version__}\n", "")
    status, out, _ = run("--help")
    assert status == 0
    assert [name for name in COMMANDS if not re.search(rf"^\W*{name}\b", out, re.MULTILINE)] == []
    for name in COMMANDS:
        status, out, _ = run(f"{name} --help")
        assert status == 0
        assert out.startswith(f"Usage: pgcgan {name}")


def test_help_waits_for_no_heavy_library() -> None:
    # a second at most: what takes time is imported by the work, not by the command line
    lines = "".join(f"main([{name!r}, '--help']); " for name in COMMANDS)
    code = f"from pgcgan.cli import main; import sys; {lines}print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    heavy = {"numpy", "scipy", "sklearn", "torch", "pysam", "cyvcf2", "msprime", "pandas", "jinja2", "zarr"}
    assert heavy & set(done.stderr.split()) == set()


WITHOUT_TORCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, Refuse())
from pgcgan.cli import main
for line in sys.stdin.read().splitlines():
    print(main(line.split()), file=sys.stderr, flush=True)
"""


def test_without_torch_everything_but_the_networks_works(prepared: Path, tmp_path: Path) -> None:
    lines = [
        f"train cohort.vcf.gz --panel cohort.panel.tsv --split split.tsv --min-maf 0.05 -o {tmp_path}/m",
        f"generate {tmp_path}/m --like cohort.panel.tsv --split split.tsv -o {tmp_path}/s.vcf.gz",
        "evaluate --real cohort.vcf.gz --panel cohort.panel.tsv --split split.tsv "
        f"--synthetic {tmp_path}/s.vcf.gz --model {tmp_path}/m --beside li-stephens -o {tmp_path}/r.html",
        f"info {tmp_path}/m --json",
        "info",
        f"card {tmp_path}/m",
    ]
    networks = [f"{TRAIN} --model {name} -o {tmp_path}/n" for name in ("gan", "paper")]
    command = [sys.executable, "-c", WITHOUT_TORCH]
    text = "\n".join([*lines, *networks])
    done = subprocess.run(command, input=text, cwd=prepared, capture_output=True, text=True)
    statuses = [line for line in done.stderr.splitlines() if line.isdigit()]
    assert statuses == ["0"] * len(lines) + ["2"] * len(networks), done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("pgcgan: error: ")]
    assert len(errors) == 2 and all("pip install 'pgcgan[gan]'" in error for error in errors)
    assert not (tmp_path / "n").exists()
    assert (tmp_path / "r.html").exists()
    assert "pgcgan[gan]" in done.stdout  # of info: what is not installed


# ---- progress -----------------------------------------------------------------------------------------------------


def test_progress_is_plain_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moments = iter([0.0, 3.0, 10.0, 10.0, 12.0, 21.0, 21.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(moments))
    with progress.progress("training") as on_event:
        on_event({"stage": "chain", "step": 1, "fraction": 0.1, "loss": 2.0})
        on_event({"stage": "adversarial", "step": 20, "fraction": 0.25, "loss": 1.5, "metrics": {"AF RMSE": 0.0123456}})
        on_event({"stage": "adversarial", "step": 21, "fraction": 0.3, "loss": 1.5})
        on_event({"event": "measure", "topic": "linkage", "metric": "LD r", "done": 3, "total": 4})
    assert capsys.readouterr().err == "adversarial: 25%  step 20  loss 1.5  AF RMSE 0.01235\nlinkage: 75%  LD r\n"


def test_progress_is_a_live_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress.progress("training") as on_event:
        on_event({"stage": "adversarial", "step": 7, "fraction": 0.5, "loss": 1.5})
    assert all(fact in terminal.getvalue() for fact in ("adversarial", "50%", "step 7"))

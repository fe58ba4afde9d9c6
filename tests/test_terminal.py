"""What a terminal shows: the verdict behind the table, colours, how much is said, and the help."""

from __future__ import annotations

import io
import re
import shlex
import sys
from pathlib import Path

import pytest
from command_line import Run

from pgcgan.cli import ORDER, app
from pgcgan.cli.app import Reading
from pgcgan.io.records import POLICIES
from pgcgan.metrics import Evaluation, Row
from pgcgan.registry import MODELS
from pgcgan.runtime import progress
from pgcgan.thousand_genomes import RELEASES

EVALUATE = "evaluate --real cohort.vcf.gz --panel cohort.panel.tsv --split split.tsv --synthetic synthetic.vcf.gz"
ROWS = (
    Row("frequency", "AF RMSE", "all", 0.011, 0.010),
    Row("linkage", "LD \x1b[2J", "all", 0.020, 0.010),
    Row("privacy", "copied people", "all", 0.4, 0.0, "at most floor"),
)
MEASURED = Evaluation(ROWS, {}, {"remarks": ["a remark"]})


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgcgan.metrics.evaluate", lambda *people, **options: MEASURED)


@pytest.mark.usefixtures("measured")
def test_evaluate_ends_with_the_verdict_and_can_print_it_alone(run: Run) -> None:
    status, out, err = run(f"{EVALUATE} -o e.json")
    lines = out.splitlines()
    assert status == 0 and "written: e.json" in err
    assert re.search(r"0\.0100 +like real +lower$", lines[1]) and re.search(r" 0 +deviates +at most floor$", lines[3])
    places = [out.index(text) for text in ("topic", "- a remark", "Verdict: Like real people in part", "Deviations: ")]
    assert places == sorted(places)
    words = " ".join(out.split())
    assert "1 like real, 1 near, 1 deviates, of the 3 metrics" in words and "40 % of the synthetic people" in words
    status, brief, err = run(f"-q {EVALUATE} --brief -o e.json --force")
    assert (status, err) == (0, "")
    assert brief == out[out.index("Verdict: ") :]
    assert "note: a remark" in run(f"{EVALUATE} --brief")[2]  # warnings are not lost with the table


@pytest.mark.parametrize(
    ("command", "option", "choices"),
    [
        ("train", "--multiallelic", ("error", "split", "drop")),
        ("train", "--device", ("auto", "cpu", "cuda")),
        ("train", "--model", tuple(name for name in MODELS if name != "private-haplotype")),
        ("fetch", "--release", tuple(RELEASES)),
        ("simulate", "--population", ("AFR", "AMR", "EAS", "EUR", "SAS")),
    ],
)
def test_choices_are_in_the_help_and_completed(command: str, option: str, choices: tuple[str, ...], run: Run) -> None:
    text = " ".join(run(f"{command} --help")[1].replace("│", " ").split())  # however wide the terminal is
    assert f"choices: {', '.join(choices)}]" in text
    script = run("completion bash")[1]
    assert re.search(rf"{option}\b", script) and all(re.search(rf"\b{re.escape(c)}\b", script) for c in choices)


def test_the_choices_of_reading_are_those_of_the_library() -> None:
    from typing import get_args, get_type_hints

    accepted = {name: get_args(hint) for name, hint in get_type_hints(Reading).items() if name in POLICIES}
    assert accepted == POLICIES


def test_standings_are_coloured_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def shown(stream: io.StringIO) -> str:
        monkeypatch.setattr(sys, "stdout", stream)
        progress.show(MEASURED.table())
        return stream.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    plain, coloured = shown(io.StringIO()), shown(Terminal())
    assert re.findall("\x1b\\[(\\d*)m(like real|\\w*)", coloured) == [
        ("32", "like real"), ("0", ""), ("33", "near"), ("0", ""), ("31", "deviates"), ("0", "")
    ]  # fmt: skip
    assert re.sub("\x1b\\[\\d+m", "", coloured) == plain and "\x1b" not in plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(Terminal()) == plain


def test_a_traceback_is_shown_where_it_is_asked_for(run: Run) -> None:
    status, out, err = run("info nothing.vcf.gz")
    assert (status, out, err.count("\n")) == (2, "", 1)
    status, out, verbose = run("info nothing.vcf.gz --verbose")
    assert (status, out) == (2, "")
    assert verbose.startswith("Traceback") and verbose.endswith(err)


def test_help_lists_commands_in_the_order_of_use_each_with_an_example_that_is_one(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    _, out, _ = run("--help")
    listed = re.findall(r"^│ (\w+) +\w", out, re.MULTILINE)
    assert listed == [name for names in ORDER.values() for name in names]
    assert listed.index("simulate") < listed.index("train") < listed.index("generate") < listed.index("evaluate")
    assert "--quiet" in out and "--verbose" in out
    files = {path.stem for path in Path(sys.modules["pgcgan.cli"].__file__ or "").parent.glob("*.py")}
    assert set(listed) <= files
    for name, example in ((name, text) for names in ORDER.values() for name, text in names.items()):
        _, out, _ = run(f"{name} --help")
        assert f"Example: {' '.join(example.split())}" in " ".join(out.split())  # a narrow terminal breaks it
        command, bound, _ = app.parse_args(re.sub(r"^source <\(|\)$", "", example).split()[1:], exit_on_error=False)
        assert command is not None and bound is not None
        assert shlex.split(re.sub(r"[<()]", "", example))

"""Privacy of what is published: copies are found by the whole chain, and min_carriers holds in model and people."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import poisson

import pgcgan
from pgcgan import HaplotypeModel
from pgcgan.cli import main
from pgcgan.genotypes import Genotypes

PEOPLE, SITES, CARRIERS = 400, 120, 3
PRIVATE = 12  # people with patterns of their own


@pytest.fixture(scope="module")
def planted() -> tuple[Genotypes, list[tuple[int, np.ndarray]]]:
    """Return people of a few founders, and rare patterns planted in one or two of them: who, and at which sites.

    A pattern is two alleles at sites near to each other, carried by one person or by two, fewer than `min_carriers`.
    """
    random = np.random.default_rng(4)
    founders = (random.random((12, SITES)) < 0.4).astype(np.int8)
    founders[:, ::4] = 0  # nobody has the other allele at every fourth site but those it is planted in
    switch = random.random((2 * PEOPLE, SITES)) < 0.03
    last = np.maximum.accumulate(np.where(switch, np.arange(SITES), 0), axis=1)
    source = np.take_along_axis(random.integers(12, size=(2 * PEOPLE, SITES)), last, axis=1)
    rows = founders[source, np.arange(SITES)]
    patterns = []
    for i in range(PRIVATE):
        sites = 4 * (np.arange(2) + 2 * i)  # two private sites, four apart
        for row in (2 * i, 2 * (i + 100))[: 1 + i % 2]:
            rows[row, sites] = 1
        patterns.append((1 + i % 2, sites))
    calls = rows.reshape(PEOPLE, 2, SITES).transpose(2, 0, 1)
    position = np.arange(SITES) * 100 + 1
    variants = pgcgan.Variants(["1"] * SITES, position, [f"s{i}" for i in range(SITES)], ["A"] * SITES, ["C"] * SITES)
    label = np.array(["x", "y"] * (PEOPLE // 2), dtype=object)
    names = [f"p{i}" for i in range(PEOPLE)]
    return Genotypes(calls, variants, names, {"super_pop": label}, phased=True), patterns


@pytest.fixture(scope="module")
def model(planted: tuple[Genotypes, list[tuple[int, np.ndarray]]]) -> HaplotypeModel:
    return HaplotypeModel(seed=1, min_carriers=CARRIERS).fit(planted[0])


def test_no_template_and_no_run_of_the_file_has_fewer_carriers(
    model: HaplotypeModel, planted: tuple[Genotypes, list[tuple[int, np.ndarray]]], tmp_path: Path
) -> None:
    """Counted again from the training people, by what is in the files."""
    people, _ = planted
    loaded = HaplotypeModel.load(model.save(tmp_path / "m"))
    blocks, tree = loaded.blocks_, loaded.code_model_.context_tree
    rows, person = people.haplotypes(), np.repeat(np.arange(PEOPLE), 2)
    assert sum(blocks.sizes) > len(blocks) > 3
    for b, templates in enumerate(blocks.templates):
        part = rows[:, blocks.edges[b] : blocks.edges[b + 1]]
        for template in templates:
            assert len(np.unique(person[(part == template).all(axis=1)])) >= CARRIERS
    codes, label = blocks.encode(rows), np.unique(people.label("super_pop").astype(str), return_inverse=True)[1]
    assert tree.min_carriers > CARRIERS
    counted = 0
    for b, lengths in enumerate(tree.runs):
        for order, runs in lengths.items():
            assert (runs.carriers >= tree.min_carriers).all()
            # people of a label who have the same `order` codes before this block
            keys = [(label[p], *codes[r, b - order : b].tolist()) for r, p in enumerate(person)]
            carriers: dict[tuple[int, ...], set[int]] = {}
            for key, p in zip(keys, person.tolist(), strict=True):
                carriers.setdefault(key, set()).add(p)
            enough = sum(len(who) >= tree.min_carriers for who in carriers.values())
            assert len(runs.carriers) <= enough
            counted += len(runs.carriers)
    assert counted > 0


def test_private_patterns_come_no_more_often_than_by_chance(
    model: HaplotypeModel, planted: tuple[Genotypes, list[tuple[int, np.ndarray]]]
) -> None:
    """Each private allele may be drawn, as often as its frequency says; two of one person meet by chance alone."""
    people, patterns = planted
    made = model.sample(2000, seed=3).haplotypes()
    real = people.haplotypes()
    blocks = model.blocks_
    codes = blocks.encode(real)
    together, expected, copied = 0, 0.0, 0.0
    for carriers, sites in patterns:
        assert real[:, sites].all(axis=1).sum() == carriers < CARRIERS
        frequency = real[:, sites].mean(axis=0)
        for site, share in zip(sites, frequency, strict=True):
            # 4,000 rows
            assert made[:, site].sum() <= poisson.ppf(1 - 1e-4, 4000 * share) + 1
        together += int(made[:, sites].all(axis=1).sum())
        copied += 4000 * carriers / len(real)
        # chance: alleles are drawn apart from each other, given the codes of a row
        rate = np.ones(len(real))
        for site in sites:
            code = codes[:, np.searchsorted(blocks.edges, site, side="right") - 1]
            rate *= np.bincount(code, weights=real[:, site])[code] / np.bincount(code)[code]
        expected += 4000 * float(rate.mean())
    assert together <= poisson.ppf(0.999, expected)
    assert expected < copied / 10 and together < copied / 10


def test_copies_planted_in_a_file_are_found_and_held_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the shell: evaluate finds them in the file, and generate --release writes no such file."""
    people = pgcgan.simulate(400, length=40_000, seed=11)
    train, _ = people.split(0.6, by="super_pop", seed=1)
    pgcgan.write(people, tmp_path / "real.vcf.gz")
    rows = "".join(f"{s}\t{'train' if s in set(train.samples) else 'test'}\n" for s in people.samples)
    (tmp_path / "split.tsv").write_text("sample\tsplit\n" + rows)
    model = HaplotypeModel(seed=1, calibrate=False, inverse_temperature=1.0, run_carriers=4).fit(
        train.select(min_maf=0.02)
    )
    model.save(tmp_path / "model")
    clean = model.sample(model.label_counts_, seed=1)

    def with_copies(made: Genotypes) -> Genotypes:
        victims = train.select(sites=np.isin(train.variants.position, made.variants.position))
        calls = made.calls.copy()
        where = np.arange(0, made.n_samples, 10)
        calls[:, where] = victims.calls[:, where % victims.n_samples]
        return Genotypes(calls, made.variants, made.samples, made.labels, made.phased)

    measured = {}
    for name, made in (("clean", clean), ("planted", with_copies(clean))):
        pgcgan.write(made, tmp_path / f"{name}.vcf.gz")
        options = f"--panel {tmp_path}/real.panel.tsv --split {tmp_path}/split.tsv"
        line = f"evaluate --real {tmp_path}/real.vcf.gz {options} --synthetic {tmp_path}/{name}.vcf.gz --json -"
        assert main(line.split()) == 0
        rows_of = json.loads(capsys.readouterr().out)["rows"]
        measured[name] = {r["metric"]: r for r in rows_of if r["label"] == "all"}
    for metric in ("copied people", "exact copies"):  # of the tenth that is copied, half are no news
        assert measured["planted"][metric]["value"] > measured["clean"][metric]["value"] + 0.03
    assert measured["planted"]["copied people"]["value"] > measured["planted"]["copied people"]["floor"]

    plain = HaplotypeModel.iter_samples
    monkeypatch.setattr(
        HaplotypeModel,
        "iter_samples",
        lambda self, *a, **o: map(with_copies, [pgcgan.genotypes.concat(list(plain(self, *a, **o)))]),
    )
    line = (
        f"generate {tmp_path}/model -n 300 --release --real {tmp_path}/real.vcf.gz {options} -o {tmp_path}/out.vcf.gz"
    )
    assert main(line.split()) == 3
    message = capsys.readouterr().err
    assert "  copied people: " in message and "nothing was written" in message
    assert not list(tmp_path.glob("out*"))

"""PGcGAN from genotypes to genotypes: fit, sample, save, load, and what a model directory may hold."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pgcgan import Genotypes, PGcGAN, Variants
from pgcgan.errors import DataError, ModelError, UsageError

TINY: dict[str, Any] = {
    "run_carriers": 4,
    "steps": 3,
    "hidden": 16,
    "embedding": 8,
    "critic_features": 4,
    "adversarial_steps": 2,
    "device": "cpu",
}


def people(
    calls: np.ndarray,
    labels: list[str] | dict[str, list[str]],
    *,
    phased: bool = True,
    contigs: list[str] | None = None,
) -> Genotypes:
    """Return people from calls (variants, samples, ploidy)."""
    sites, n = calls.shape[:2]
    return Genotypes(
        calls,
        Variants(contigs or ["1"] * sites, range(1, sites + 1), ["."] * sites, ["A"] * sites, ["G"] * sites),
        [f"person-{i:03d}" for i in range(n)],
        labels if isinstance(labels, dict) else {"super_pop": labels},
        phased,
    )


def drawn(n: int = 40, sites: int = 12, ploidy: int = 2, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.random((sites, n, ploidy)) < random.uniform(0.2, 0.8, size=(sites, 1, 1))).astype(np.int8)


@pytest.fixture(scope="module")
def train(cohort: Genotypes) -> Genotypes:
    return cohort.select(sites=slice(0, 120))


@pytest.fixture(scope="module")
def model(train: Genotypes) -> PGcGAN:
    return PGcGAN(seed=1, **TINY).fit(train)


@pytest.fixture(scope="module")
def saved(model: PGcGAN, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model.save(tmp_path_factory.mktemp("saved") / "demo.model")


# ---- sampling -----------------------------------------------------------------------------------------------------


def test_people_are_what_was_asked_for(model: PGcGAN, train: Genotypes) -> None:
    made = model.sample({"SAS": 3, "AFR": 130}, seed=1, prefix="T")
    assert Counter(made.label("super_pop")) == {"AFR": 130, "SAS": 3}
    assert made.samples[[0, 129, 130]].tolist() == ["T_AFR_000001", "T_AFR_000130", "T_SAS_000001"]
    assert made.variants.equals(train.variants)
    assert dict(made.variants.contig_lengths) == dict(train.variants.contig_lengths)
    assert made.phased
    assert (made.calls.min(), made.calls.max()) == (0, 1)
    assert model.label_counts == Counter(train.label("super_pop"))
    assert Counter(model.sample(train.n_samples).label("super_pop")) == model.label_counts
    assert model.label == ("super_pop",)


def test_a_person_depends_on_seed_label_and_number_alone(model: PGcGAN) -> None:
    made = model.sample({"AFR": 140, "EUR": 5, "SAS": 9}, seed=4)
    assert made.equals(model.sample({"AFR": 140, "EUR": 5, "SAS": 9}, seed=4))
    some = model.sample({"AFR": 131, "SAS": 2}, seed=4)
    assert np.array_equal(some.calls, made.select(samples=some.samples).calls)
    other = model.sample({"AFR": 140, "EUR": 5, "SAS": 9}, seed=5)
    assert (other.calls != made.calls).any(axis=(0, 2)).all()
    # no one is made twice
    assert len({c.tobytes() for c in made.calls.transpose(1, 0, 2).copy()}) == made.n_samples


def test_blocks_of_people_join_to_the_whole(model: PGcGAN) -> None:
    made = model.sample(150, seed=4)
    parts = list(model.iter_samples(150, seed=4, people_per_block=37))
    assert [p.n_samples for p in parts] == [37, 37, 37, 37, 2]
    assert np.array_equal(np.concatenate([p.calls for p in parts], axis=1), made.calls)
    assert np.concatenate([p.samples for p in parts]).tolist() == made.samples.tolist()
    with pytest.raises(UsageError) as caught:
        list(model.iter_samples(5, people_per_block=0))
    assert str(caught.value) == "people_per_block is 0; accepted: 1 or more."


def test_sampling_draws_nothing_from_the_random_state_of_the_caller(model: PGcGAN) -> None:
    torch.manual_seed(3)
    before, first = torch.get_rng_state(), model.sample(20, seed=2)
    torch.rand(7)
    assert model.sample(20, seed=2).equals(first)
    torch.manual_seed(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_same_seed_gives_the_same_model(model: PGcGAN, train: Genotypes) -> None:
    made = model.sample(60, seed=2)
    torch.rand(5)
    assert PGcGAN(seed=1, **TINY).fit(train).sample(60, seed=2).equals(made)
    assert not PGcGAN(seed=2, **TINY).fit(train).sample(60, seed=2).equals(made)


# ---- kinds of data ------------------------------------------------------------------------------------------------


def test_unphased_in_unphased_out(cohort: Genotypes, tmp_path: Path) -> None:
    train = cohort.select(sites=slice(0, 100)).without_phase()
    fitted = PGcGAN(**TINY).fit(train)
    made = fitted.sample(60, seed=1)
    assert not made.phased
    assert (np.diff(made.calls, axis=2) >= 0).all()
    assert made.calls.min() == 0
    assert set(np.unique(made.dosages())) == {0, 1, 2}
    # the order of the alleles in the input means nothing
    turned = Genotypes(train.calls[:, :, ::-1], train.variants, train.samples, train.labels, phased=False)
    assert PGcGAN(**TINY).fit(turned).sample(60, seed=1).equals(made)
    assert PGcGAN.load(fitted.save(tmp_path / "m")).sample(60, seed=1).equals(made)


def test_missing_calls_are_masked_and_nobody_made_misses_any(cohort: Genotypes) -> None:
    some = cohort.select(sites=slice(0, 60))
    calls = some.calls.copy()
    calls[np.random.default_rng(1).random(calls.shape) < 0.03] = -1
    calls[:, 5] = -1  # one person without any call
    holes = Genotypes(calls, some.variants, some.samples, some.labels)
    for train in (holes, holes.without_phase()):
        made = PGcGAN(**TINY).fit(train).sample(60)
        assert made.calls.min() == 0
    # a site is what is called there, however little: 4 people called, 3 of 8 alleles alt
    calls = drawn(40, 6)
    calls[2] = -1
    calls[2, :4] = [[1, 0], [0, 1], [0, 0], [1, 0]]
    made = PGcGAN(**TINY | {"steps": 0}).fit(people(calls, ["A"] * 40)).sample(2000)
    assert made.allele_frequency()[2] == pytest.approx(3 / 8, abs=5 * 0.5 / np.sqrt(4000))


def test_haploid_people(tmp_path: Path) -> None:
    train = people(drawn(80, 20, ploidy=1), ["A", "B"] * 40)
    fitted = PGcGAN(**TINY).fit(train)
    made = fitted.sample({"B": 9}, seed=1)
    assert made.calls.shape == (20, 9, 1)
    assert set(np.unique(made.calls)) == {0, 1}
    assert PGcGAN.load(fitted.save(tmp_path / "m")).sample({"B": 9}, seed=1).equals(made)


def test_several_label_columns(train: Genotypes, tmp_path: Path) -> None:
    fitted = PGcGAN(["super_pop", "pop"], **TINY).fit(train)
    pairs = Counter(zip(train.label("super_pop"), train.label("pop"), strict=True))
    assert fitted.label_counts == {f"{a}/{b}": n for (a, b), n in sorted(pairs.items())}
    made = fitted.sample({"EUR/EUR2": 4, "AFR/AFR1": 2})
    assert made.samples[0] == "SYN_AFR_AFR1_000001"
    assert Counter(zip(made.label("super_pop"), made.label("pop"), strict=True)) == {
        ("EUR", "EUR2"): 4,
        ("AFR", "AFR1"): 2,
    }
    again = PGcGAN.load(fitted.save(tmp_path / "m"))
    assert again.label == ("super_pop", "pop")
    assert again.sample({"EUR/EUR2": 4, "AFR/AFR1": 2}).equals(made)
    with pytest.raises(UsageError) as caught:
        fitted.sample({"EUR": 4})
    assert str(caught.value).startswith("Unknown label 'EUR'; the model knows: AFR/AFR1, AFR/AFR2, AMR/AMR1,")


def test_no_block_crosses_a_contig(train: Genotypes) -> None:
    half = train.n_variants // 2
    v = train.variants
    variants = Variants(["1"] * half + ["2"] * (len(v) - half), v.position, v.id, v.ref, v.alt)
    fitted = PGcGAN(**TINY | {"steps": 0}).fit(
        Genotypes(train.calls, variants, train.samples, train.labels, train.phased)
    )
    assert fitted._blocks is not None
    assert half in fitted._blocks.edges
    assert fitted.sample(3).variants.equals(variants)


@pytest.mark.parametrize("preset", ["haplotype", "paper"])
def test_what_is_saved_is_what_is_loaded(preset: str, cohort: Genotypes, tmp_path: Path) -> None:
    train = cohort.select(sites=slice(0, 50))
    settings = TINY if preset == "haplotype" else {"steps": 2, "batch": 8, "device": "cpu"}
    fitted = PGcGAN(preset=preset, seed=3, **settings).fit(train)
    target = fitted.save(tmp_path / "a" / "model")
    again = PGcGAN.load(target)
    assert again.sample(40, seed=3).equals(fitted.sample(40, seed=3))
    assert (again.label_counts, again.seed, again.preset) == (fitted.label_counts, 3, preset)
    assert (again.steps, again.network, again.training, again.history) == (
        fitted.steps,
        fitted.network,
        fitted.training,
        fitted.history,
    )
    copy = again.save(tmp_path / "copy")
    files = sorted(p.name for p in target.iterdir())
    assert files == sorted(p.name for p in copy.iterdir())
    assert files == sorted(
        ["MODEL_CARD.md", "model.json", "sites.json", "weights.safetensors"]
        + ["warmstart.safetensors"] * (preset == "haplotype")
    )
    for name in files:
        assert (target / name).read_bytes() == (copy / name).read_bytes()


def test_the_paper_preset_makes_phased_people(cohort: Genotypes) -> None:
    train = cohort.select(sites=slice(0, 21))  # not a multiple of four
    made = PGcGAN(preset="paper", steps=1, batch=8, device="cpu").fit(train).sample({"EUR": 7, "AFR": 3})
    assert made.calls.shape == (21, 10, 2)
    assert made.phased
    assert Counter(made.label("super_pop")) == {"AFR": 3, "EUR": 7}


# ---- what is learnt -----------------------------------------------------------------------------------------------


def test_the_chain_has_the_frequencies_of_the_labels() -> None:
    random = np.random.default_rng(2)
    frequency = random.uniform(0.05, 0.95, size=(3, 60))
    label = np.repeat(["A", "B", "C"], [200, 150, 50])
    calls = (random.random((60, 400, 2)) < frequency[np.searchsorted(["A", "B", "C"], label)].T[:, :, None]).astype(
        np.int8
    )
    train = people(calls, label.tolist())
    fitted = PGcGAN(**TINY | {"steps": 0}).fit(train)
    made = fitted.sample({"A": 2000, "B": 2000, "C": 2000})
    for name in "ABC":
        own = train.select(samples=train.label("super_pop") == name).allele_frequency()
        new = made.select(samples=made.label("super_pop") == name).allele_frequency()
        assert np.corrcoef(own, new)[0, 1] > 0.98
        assert np.sqrt(np.mean((own - new) ** 2)) < 0.05
        # and not those of the other labels
        others = train.select(samples=train.label("super_pop") != name).allele_frequency()
        assert np.corrcoef(others, new)[0, 1] < 0.6


def test_the_chain_has_the_linkage_of_neighbours(cohort: Genotypes) -> None:
    made = PGcGAN(**TINY | {"steps": 0}).fit(cohort).sample(1000)
    real, new = (np.corrcoef(g.haplotypes().T) for g in (cohort, made))
    near = np.arange(cohort.n_variants - 1)
    found = [r[near, near + 1] ** 2 for r in (real, new)]
    keep = np.isfinite(found[0]) & np.isfinite(found[1])
    assert np.corrcoef(found[0][keep], found[1][keep])[0, 1] > 0.95


def test_what_asks_for_the_network() -> None:
    assert PGcGAN().training.epochs == 0
    assert PGcGAN(minutes=1).training.epochs == PGcGAN(adversarial_steps=5).training.epochs > 0
    assert PGcGAN(epochs=3.0, minutes=1).training.epochs == 3
    assert PGcGAN(adversarial_steps=5, steps=0).training.epochs == 0


def test_stages_of_a_model(model: PGcGAN, saved: Path, train: Genotypes) -> None:
    chain = PGcGAN.load(saved, stage="chain").sample(50, seed=1)
    warm = PGcGAN.load(saved, stage="likelihood").sample(50, seed=1)
    final = PGcGAN.load(saved, stage="final").sample(50, seed=1)
    assert final.equals(model.sample(50, seed=1))
    assert not warm.equals(final)
    prior = PGcGAN.load(saved, stage="prior").sample(50, seed=1)
    assert not prior.equals(chain)
    # the prior is what is fitted without any step, before calibration and sharpening
    plain = {"calibrate": False, "sharpening": 1.0}
    assert prior.equals(PGcGAN(seed=1, **TINY | {"steps": 0} | plain).fit(train).sample(50, seed=1))
    # and the warm start what is fitted without adversarial steps and calibration, and drawn without sharpening
    alone = PGcGAN(seed=1, **TINY | {"adversarial_steps": 0} | plain).fit(train)
    assert warm.equals(alone.sample(50, seed=1))


def test_history_and_log(train: Genotypes, tmp_path: Path) -> None:
    events = list[dict[str, Any]]()
    fitted = PGcGAN(**TINY).fit(train, directory=tmp_path / "m", on_event=events.append)
    assert [(e["stage"], e["step"]) for e in events] == [
        *(("likelihood", i) for i in (1, 2, 3)),
        *(("adversarial", i) for i in (1, 2)),
    ]
    lines = [json.loads(line) for line in (tmp_path / "m" / "log.jsonl").read_text().splitlines()]
    assert lines == fitted.history
    assert [(e["stage"], e["step"]) for e in lines] == [("likelihood", 3), ("adversarial", 2)]
    assert fitted.save(tmp_path / "m") == tmp_path / "m"
    assert {p.name for p in (tmp_path / "m").iterdir()} == {
        "log.jsonl",
        "MODEL_CARD.md",
        "model.json",
        "sites.json",
        "weights.safetensors",
        "warmstart.safetensors",
    }


def test_history_of_a_resumed_run_is_whole(train: Genotypes, tmp_path: Path) -> None:
    def interrupt(event: dict[str, Any]) -> None:
        if event["stage"] == "adversarial":
            raise KeyboardInterrupt

    whole = PGcGAN(**TINY).fit(train)
    with pytest.raises(KeyboardInterrupt):
        PGcGAN(**TINY).fit(train, directory=tmp_path / "m", on_event=interrupt)
    resumed = PGcGAN(**TINY).fit(train, directory=tmp_path / "m", resume=True)
    assert [(e["stage"], e["step"], e["loss"]) for e in resumed.history] == [
        (e["stage"], e["step"], e["loss"]) for e in whole.history
    ]


# ---- no person in the directory -----------------------------------------------------------------------------------


def forms(row: np.ndarray) -> list[bytes]:
    """Return a haplotype in the ways that a file might hold it."""
    text = "".join(map(str, row))
    return [
        row.astype(np.int8).tobytes(),
        row.astype(np.float32).tobytes(),
        row.astype(np.int64).tobytes(),
        np.packbits(row.astype(np.uint8)).tobytes(),
        np.packbits(row.astype(np.uint8), bitorder="little").tobytes(),
        text.encode(),
        ", ".join(text).encode(),
    ]


def test_a_model_directory_holds_no_person(saved: Path, train: Genotypes) -> None:
    content = b"".join(p.read_bytes() for p in sorted(saved.rglob("*")) if p.is_file())
    assert train.samples[0].startswith("AFR_")
    for name in train.samples:
        assert name.encode() not in content
    for row in train.haplotypes():
        assert not any(form in content for form in forms(row))
    assert b"pickle" not in content
    assert not any(b"torch" in p.read_bytes()[:1000] for p in saved.glob("*.safetensors"))
    assert {p.suffix for p in saved.iterdir()} == {".json", ".md", ".safetensors"}


@pytest.mark.parametrize("n", [6, 12, 25])
def test_a_small_cohort_is_not_stored_either(n: int, tmp_path: Path) -> None:
    # people so few that each haplotype of the region is somebody's own
    train = people(drawn(n, 60), ["A"] * n)
    target = PGcGAN(**TINY).fit(train).save(tmp_path / "m")
    content = b"".join(p.read_bytes() for p in target.iterdir())
    for row in train.haplotypes():
        assert not any(form in content for form in forms(row))


def test_a_run_directory_holds_no_sample_name(train: Genotypes, tmp_path: Path) -> None:
    def interrupt(event: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PGcGAN(**TINY).fit(train, directory=tmp_path / "m", on_event=interrupt)
    content = b"".join(p.read_bytes() for p in (tmp_path / "m").iterdir())
    assert not any(name.encode() in content for name in train.samples)
    assert not any(form in content for row in train.haplotypes() for form in forms(row))


# ---- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "published"}, "Unknown preset 'published'; accepted: haplotype, paper."),
        ({"loss": "hinge"}, "Unknown loss 'hinge'; accepted: relativistic, wgan, wgan-gp."),
        ({"minutes": 0}, "minutes is 0; accepted: more than 0."),
        ({"steps": -1}, "steps is -1; accepted: more than -1."),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        PGcGAN(**settings)
    assert str(caught.value) == message


def test_an_unknown_setting_or_device() -> None:
    with pytest.raises(UsageError) as caught:
        PGcGAN(hiden=3)
    message = str(caught.value)
    assert message.startswith(
        "Unknown setting 'hiden'; accepted: accumulate, adversarial_steps, ancestry, ancestry_noise,"
    )
    assert message.endswith("validation, weight_decay.")
    for device in ("gpu", "cuda:77"):
        with pytest.raises(UsageError) as caught:
            PGcGAN(device=device)
        assert str(caught.value).startswith(f"Device '{device}' cannot be used (")
        assert str(caught.value).endswith("); accepted: auto, cpu, cuda, cuda:N, mps.")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [-5, 1.5, "one"])
def test_a_seed_that_is_no_seed(seed: Any, cohort: Genotypes) -> None:
    with pytest.raises(UsageError) as caught:
        PGcGAN(seed=seed, **TINY | {"steps": 0}).fit(cohort)
    assert str(caught.value) == f"The seed is {seed!r}; accepted: a whole number, 0 or more."


def test_data_that_cannot_be_learned(cohort: Genotypes) -> None:
    calls, phased = drawn(6, 5), ["A", "A", "B", "C", "C", "D"]
    empty = calls.copy()
    empty[[1, 3]] = -1
    cases: list[tuple[Genotypes, dict[str, Any], str]] = [
        (
            people(calls, phased),
            {},
            "Labels with a single person cannot be learned without giving that person away: B, D; leave them out, or "
            "use a coarser label.",
        ),
        (
            people(calls, phased),
            {"label": "pop"},
            "There is no label 'pop'; labels here: super_pop. Labels come from the panel file (panel=…, --panel).",
        ),
        (
            people(empty, ["A"] * 6),
            {},
            "2 sites have no call in any person, the first is 1:2 A>G; leave them out.",
        ),
        (
            people(calls, ["A"] * 6, phased=False),
            {"preset": "paper"},
            "The paper preset models phased diploid genotypes; use --preset haplotype for these data.",
        ),
        (
            people(calls[:, :, :1], ["A"] * 6),
            {"preset": "paper"},
            "The paper preset models phased diploid genotypes; use --preset haplotype for these data.",
        ),
        (
            people(calls, ["A"] * 6).select(samples=np.zeros(6, dtype=bool)),
            {},
            "There is nothing to train on: Genotypes(0 samples x 5 variants, phased, labels: super_pop).",
        ),
    ]
    for genotypes, settings, message in cases:
        with pytest.raises(DataError) as caught:
            PGcGAN(**settings).fit(genotypes)
        assert str(caught.value) == message


def test_a_model_that_is_not_fitted(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        PGcGAN().sample(3)
    assert str(caught.value) == "The model has not been fitted; call fit(genotypes) or PGcGAN.load(path) first."
    with pytest.raises(UsageError) as caught:
        PGcGAN().save(tmp_path / "m")
    assert str(caught.value) == "The model has not been fitted; call fit(genotypes) before save(path)."
    assert not (tmp_path / "m").exists()
    assert repr(PGcGAN()) == "PGcGAN(label='super_pop', preset='haplotype', seed=0; not fitted)"


def test_asking_for_nobody_or_the_unknown(model: PGcGAN, cohort: Genotypes) -> None:
    assert repr(model) == "PGcGAN(label='super_pop', preset='haplotype', seed=1; fitted to 150 people)"
    with pytest.raises(UsageError) as caught:
        model.sample({"MARS": 3})
    assert str(caught.value) == "Unknown label 'MARS'; the model knows: AFR, AMR, EAS, EUR, SAS."


def test_nothing_is_replaced_without_force(model: PGcGAN, saved: Path, tmp_path: Path) -> None:
    before = {p.name: p.read_bytes() for p in saved.iterdir()}
    with pytest.raises(UsageError) as caught:
        model.save(saved)
    assert str(caught.value) == f"{saved} exists; choose another name, or --force (force=True) to replace it."
    assert {p.name: p.read_bytes() for p in saved.iterdir()} == before
    target = model.save(tmp_path / "m")
    assert model.save(target, force=True) == target
    assert PGcGAN.load(target).sample(5).equals(model.sample(5))


def test_a_file_in_the_way_is_not_replaced(model: PGcGAN, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    for force in (False, True):
        with pytest.raises(UsageError):
            model.save(path, force=force)
    assert path.read_text() == "mine"
    with pytest.raises(ModelError) as caught:
        PGcGAN.load(path)
    assert str(caught.value) == f"There is no model directory {path}."


def test_training_into_a_finished_model_does_not_destroy_it(model: PGcGAN, cohort: Genotypes, tmp_path: Path) -> None:
    target = model.save(tmp_path / "m")
    with pytest.raises(UsageError):
        PGcGAN(**TINY).fit(cohort, directory=target)
    assert PGcGAN.load(target).sample(5).equals(model.sample(5))


def test_a_model_of_another_preset_leaves_nothing_behind(model: PGcGAN, cohort: Genotypes, tmp_path: Path) -> None:
    target = model.save(tmp_path / "m")
    paper = PGcGAN(preset="paper", steps=1, batch=4, device="cpu").fit(cohort.select(sites=slice(0, 8)))
    paper.save(target, force=True)
    assert sorted(p.name for p in target.iterdir()) == [
        "MODEL_CARD.md",
        "model.json",
        "sites.json",
        "weights.safetensors",
    ]
    with pytest.raises(UsageError) as caught:
        PGcGAN.load(target, stage="chain")
    assert str(caught.value) == f"Stage 'chain' is for the haplotype preset; {target} is a paper model."


def test_directories_that_cannot_be_loaded(model: PGcGAN, tmp_path: Path) -> None:
    def refused(expected: str, error: type[Exception] = ModelError, **options: Any) -> None:
        with pytest.raises(error) as caught:
            PGcGAN.load(target, **options)
        assert str(caught.value) == expected

    target = tmp_path / "m"
    refused(f"There is no model directory {target}.")
    target.mkdir()
    refused(f"{target} has no model.json: it is not a finished pgcgan model.")
    model.save(target)
    refused("Unknown stage 'best'; accepted: chain, prior, likelihood, final.", UsageError, stage="best")
    sheet = json.loads((target / "model.json").read_text())
    (target / "model.json").write_text(json.dumps({**sheet, "format": 99}))
    refused(f"{target} has the model format 99; this version reads 2. Update pgcgan, or train again.")
    (target / "model.json").write_text(json.dumps({k: v for k, v in sheet.items() if k != "network"}))
    refused(f"{target} is not a whole model ('network'); train it again.")
    (target / "model.json").write_text(json.dumps(sheet))
    (target / "warmstart.safetensors").unlink()
    refused(f"{target} has no weights of its likelihood warm start.", stage="likelihood")
    weights = (target / "weights.safetensors").read_bytes()
    (target / "weights.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ModelError, match="weights.safetensors is damaged .*; train the model again."):
        PGcGAN.load(target)
    (target / "weights.safetensors").unlink()
    refused(f"{target} has no weights.safetensors: the model is incomplete.")
    (target / "sites.json").unlink()
    refused(f"{target} has no sites.json: it is not a finished pgcgan model.")
    (target / "model.json").write_text("{")
    with pytest.raises(ModelError, match="model.json is damaged"):
        PGcGAN.load(target)


@pytest.mark.parametrize("text", ["[]", "3", '"model"', "null"])
def test_a_sheet_that_is_json_and_no_sheet(text: str, model: PGcGAN, tmp_path: Path) -> None:
    target = model.save(tmp_path / "m")
    (target / "model.json").write_text(text)
    with pytest.raises(ModelError):
        PGcGAN.load(target)


def test_weights_of_another_model(model: PGcGAN, cohort: Genotypes, tmp_path: Path) -> None:
    target = model.save(tmp_path / "m")
    other = PGcGAN(**TINY | {"hidden": 12}).fit(cohort.select(sites=slice(0, 30))).save(tmp_path / "other")
    (target / "weights.safetensors").write_bytes((other / "weights.safetensors").read_bytes())
    with pytest.raises(ModelError, match="is not a whole model"):
        PGcGAN.load(target)


def test_resuming_what_cannot_be_resumed(train: Genotypes, tmp_path: Path) -> None:
    def interrupt(event: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    def refused(settings: dict[str, Any], genotypes: Genotypes, expected: str, directory: Path | None) -> None:
        with pytest.raises(ModelError) as caught:
            PGcGAN(**settings).fit(genotypes, directory=directory, resume=True)
        assert str(caught.value) == expected

    where = tmp_path / "m"
    refused(TINY, train, f"There is no interrupted training in {where}; run again without --resume.", where)
    with pytest.raises(KeyboardInterrupt):
        PGcGAN(**TINY).fit(train, directory=where, on_event=interrupt)
    with pytest.raises(ModelError) as caught:
        PGcGAN.load(where)
    assert str(caught.value) == f"The training in {where} has not finished; run the same command with --resume."
    other = "resume with the same, or start again without --resume."
    refused(TINY | {"hidden": 17}, train, f"The training in {where} was started with other settings; {other}", where)
    others = train.select(samples=np.arange(1, train.n_samples))
    refused(TINY, others, f"The training in {where} was started with other data; {other}", where)
    PGcGAN(**TINY).fit(train, directory=where, resume=True).save(where)
    refused(TINY, train, f"There is no interrupted training in {where}; run again without --resume.", where)


def test_resuming_needs_a_directory(cohort: Genotypes) -> None:
    with pytest.raises((UsageError, ModelError)) as caught:
        PGcGAN(**TINY).fit(cohort, resume=True)
    assert "None" not in str(caught.value)

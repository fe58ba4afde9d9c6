"""Loss of diversity while training: what is measured, and the alarm for each label that loses it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pgcgan import PGcGAN, simulate
from pgcgan.generators.gan.networks import HaplotypeGenerator, PaperGenerator
from pgcgan.genotypes import Genotypes
from pgcgan.metrics.monitor import DIVERSE, diversity

TINY = {"steps": 20, "hidden": 8, "embedding": 8, "batch": 16, "calibrate": False, "sharpening": 1.0, "run_carriers": 4}


def pairs_that_differ(rows: np.ndarray) -> float:
    """Return the mean over pairs of rows, by all pairs."""
    return float(np.mean([(a != b).mean() for i, a in enumerate(rows) for b in rows[:i]]))


def test_diversity_is_that_of_all_pairs() -> None:
    random = np.random.default_rng(1)
    train, drawn = random.integers(0, 6, (30, 40)), random.integers(0, 2, (50, 40))
    expected = pairs_that_differ(drawn[:30]) / pairs_that_differ(train)
    assert diversity(train, drawn) == pytest.approx(expected)
    assert diversity(train, train) == 1


def test_diversity_of_a_few_rows_known_by_heart() -> None:
    random = np.random.default_rng(1)
    train = random.integers(0, 6, (40, 40))
    # 5 rows, each drawn 8 times: any two differ as in train, nearly, but there are 4 more rows than one instead of 39
    assert diversity(train, np.tile(train[:5], (8, 1))) == pytest.approx(4 / 39)
    assert diversity(train, np.tile(train[:1], (40, 1))) == 0
    assert diversity(np.tile(train[:1], (40, 1)), train) == 1  # nothing to lose


def test_missing_codes_differ_from_nothing() -> None:
    train = np.array([[0, 1], [1, 0], [0, 0], [1, 1]])
    holes = np.array([[0, -1], [1, 0], [-1, 0], [1, 1]])
    # known pairs: of column 0 (0, 1, 1) two of three differ, of column 1 (0, 0, 1) two of three; in train four of six
    assert diversity(train, holes) == pytest.approx(1)


@pytest.fixture(scope="module")
def people() -> Genotypes:
    return simulate(120, length=30_000, seed=5, populations=["AFR", "EUR", "EAS"]).select(min_maf=0.02)


def test_a_sound_training_raises_no_alarm(people: Genotypes, caplog: pytest.LogCaptureFixture) -> None:
    model = PGcGAN(seed=1, **TINY).fit(people)
    found = [h["metrics"]["least_diversity"] for h in model.history if "least_diversity" in h["metrics"]]
    assert len(found) >= 5
    assert min(found) > 0.7
    assert "lost diversity" not in caplog.text


def test_a_label_that_collapses_raises_an_alarm(
    people: Genotypes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = HaplotypeGenerator.people
    # AFR, EAS, EUR: the second makes the same person again and again

    def collapsed(self: HaplotypeGenerator, label: torch.Tensor, *args: Any, **options: Any) -> Any:
        codes, onehots = plain(self, label, *args, **options)
        of_label = torch.nonzero(label == 1)[:, 0]
        codes[of_label] = codes[of_label[:1]]
        return codes, onehots

    monkeypatch.setattr(HaplotypeGenerator, "people", collapsed)
    model = PGcGAN(seed=1, **TINY).fit(people)
    said = [r.getMessage() for r in caplog.records if "lost diversity" in r.getMessage()]
    assert len(said) == 1  # of one label, once in a stage
    assert said[0].startswith("EAS has lost diversity at likelihood step 4: people drawn are 0.")
    assert f"(alarm below {DIVERSE:g})" in said[0]
    assert min(h["metrics"].get("least_diversity", 1) for h in model.history) < DIVERSE


def test_the_published_network_is_watched_too(
    people: Genotypes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = PaperGenerator.forward
    monkeypatch.setattr(
        PaperGenerator, "forward", lambda self, noise, label: plain(self, noise[:1].expand_as(noise), label)
    )
    PGcGAN(preset="paper", seed=1, steps=1, batch=8).fit(people.select(sites=slice(0, 20)))
    said = [r.getMessage() for r in caplog.records if "lost diversity" in r.getMessage()]
    assert [line.split()[0] for line in said] == ["AFR", "EAS", "EUR"]
    assert "people drawn are 0.00 times as diverse" in said[0]

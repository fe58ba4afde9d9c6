"""Families by name, what a directory holds, and all of it without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pgcgan
from pgcgan import registry
from pgcgan.errors import ModelError, UsageError
from pgcgan.generators.generator import Generator
from pgcgan.genotypes import Genotypes
from pgcgan.registry import BASELINES, MODELS, NETWORKS


def test_every_family_has_its_name() -> None:
    assert set(BASELINES) | set(NETWORKS) | {"haplotype", "private-haplotype"} == set(MODELS)
    for name in MODELS:
        if name not in NETWORKS:
            family = registry.family(name)
            assert issubclass(family, Generator)
            assert family.name == name
            assert getattr(pgcgan, family.__name__) is family
    assert pgcgan.load is registry.load
    assert pgcgan.GenomeModel.name == "windows"


def test_a_generator_is_created_with_its_parameters() -> None:
    model = registry.create("li-stephens", ["super_pop", "pop"], seed=5, mutation=0.25)
    assert isinstance(model, pgcgan.LiStephens)
    assert (model.label, model.seed, model.mutation) == (("super_pop", "pop"), 5, 0.25)
    assert not model.is_fitted
    assert registry.create("haplotype").label == ("super_pop",)


@pytest.mark.parametrize("name", ["published", "windows", "", "Haplotype"])
def test_an_unknown_family(name: str) -> None:
    for call in (registry.family, registry.create):
        with pytest.raises(UsageError) as caught:
            call(name)
        assert repr(name) in str(caught.value)
        assert ", ".join(MODELS) in str(caught.value)


def test_parameters_that_a_family_does_not_have() -> None:
    with pytest.raises(UsageError, match=r"smote .*'neighbors'.*: neighbours"):
        registry.create("smote", neighbors=3)
    with pytest.raises(UsageError, match=r"independent .*'neighbours'.*: none"):
        registry.create("independent", neighbours=3)
    with pytest.raises(UsageError, match="mutation is 0.7; accepted: 0 to 0.5"):
        registry.create("li-stephens", mutation=0.7)


def test_a_model_of_a_later_version_is_named(cohort: Genotypes, tmp_path: Path) -> None:
    target = registry.create("independent").fit(cohort).save(tmp_path / "m")
    metadata = json.loads((target / "model.json").read_text())
    (target / "model.json").write_text(json.dumps({**metadata, "model": "diffusion"}))
    with pytest.raises(ModelError, match=f"{target} .*'diffusion'"):
        registry.load(target)
    with pytest.raises(ModelError, match=r"none"):
        registry.load(tmp_path / "none")


# ---- without torch --------------------------------------------------------------------------------------------------

TORCH = 'raise ModuleNotFoundError("No module named \'torch\'", name="torch")\n'
EVERY_FAMILY = """
import sys
import pgcgan
from pgcgan.registry import MODELS, NETWORKS, create

people = pgcgan.simulate(40, length=30_000, seed=3).select(min_maf=0.1)
for name in MODELS:
    if name not in NETWORKS:
        model = create(name, "gender", seed=1).fit(people)
        again = pgcgan.load(model.save(f"{name}.model"))
        assert again.sample(9, seed=2).equals(model.sample(9, seed=2))
        print(name)
assert not {"torch", "lightning_fabric"} & set(sys.modules)
"""
NETWORK = """
import json, sys
from pathlib import Path
import pgcgan
from pgcgan.errors import MissingExtra
from pgcgan.registry import create, family, load

path = Path("independent.model/model.json")
path.write_text(json.dumps({**json.loads(path.read_text()), "model": "gan"}))
for call in (
    lambda: pgcgan.PGcGAN, lambda: pgcgan.PaperGAN, lambda: family("gan"), lambda: create("paper"),
    lambda: load("independent.model"),
):
    try:
        call()
    except MissingExtra as error:
        print(error)
"""


def test_all_but_the_networks_work_without_torch_and_those_name_the_extra(tmp_path: Path) -> None:
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "torch.py").write_text(TORCH)
    path = os.pathsep.join([str(tmp_path / "absent"), str(Path(pgcgan.__file__).parents[1])])
    environment = {**os.environ, "PYTHONPATH": path}

    def run(program: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert run(EVERY_FAMILY).split() == ["haplotype", "private-haplotype", *BASELINES]
    messages = run(NETWORK).splitlines()
    assert len(messages) == 5
    for message, subject in zip(
        messages, ("pgcgan.PGcGAN", "pgcgan.PaperGAN", "gan model", "paper model", "gan model"), strict=True
    ):
        assert subject in message
        assert "pip install 'pgcgan[gan]'" in message

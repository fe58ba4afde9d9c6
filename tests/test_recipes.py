"""The conda recipe and the container file agree with pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import jinja2
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IN_CONDA = {"torch": "pytorch"}


@pytest.fixture(scope="module")
def recipe() -> dict:
    text = (ROOT / "recipes" / "conda" / "meta.yaml").read_text(encoding="utf-8")
    template = jinja2.Template(text, undefined=jinja2.StrictUndefined)
    return YAML(typ="safe").load(
        template.render(PYTHON="python", pin_subpackage=lambda name, max_pin: f"{name} {max_pin}")
    )


def as_conda(requirements: list[str]) -> list[str]:
    """Return requirements as conda writes them, sorted."""
    parsed = [Requirement(text) for text in requirements]
    return sorted(f"{IN_CONDA.get(r.name, r.name.lower())} {r.specifier}" for r in parsed)


def test_the_recipe_has_each_requirement_with_its_bound(recipe: dict) -> None:
    wanted = [*PROJECT["dependencies"], f"python{PROJECT['requires-python']}"]
    assert sorted(recipe["requirements"]["run"]) == as_conda(wanted)
    extras = [text for wanted in PROJECT["optional-dependencies"].values() for text in wanted]
    assert sorted(recipe["requirements"]["run_constrained"]) == as_conda(extras)


def test_the_recipe_is_of_this_version(recipe: dict) -> None:
    assert recipe["package"] == {"name": PROJECT["name"], "version": PROJECT["version"]}
    assert recipe["build"]["entry_points"] == [f"{name} = {call}" for name, call in PROJECT["scripts"].items()]
    about = recipe["about"]
    assert (about["summary"], about["license"]) == (PROJECT["description"], PROJECT["license"])
    assert [about["license_file"]] == PROJECT["license-files"]
    assert about["home"] in PROJECT["urls"].values()


def test_the_container_file_is_of_this_project() -> None:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", "")
    (version,) = re.findall(r"^ARG PYTHON=(\S+)$", text, re.MULTILINE)
    assert version in SpecifierSet(PROJECT["requires-python"])
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', text))
    assert labels == {
        "title": PROJECT["name"],
        "description": PROJECT["description"],
        "licenses": PROJECT["license"],
    }
    copied = {line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}
    assert {f"!{name}" for name in ("pyproject.toml", PROJECT["readme"], *PROJECT["license-files"])} <= copied

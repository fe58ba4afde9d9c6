"""What pgcgan needs is pinned, licensed and declared, and nothing it does opens a connection."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import shutil
import subprocess
import sys
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def audit():
    loader = importlib.machinery.SourceFileLoader("audit", str(ROOT / ".ci" / "audit"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("audit", loader))  # type: ignore[arg-type]
    loader.exec_module(module)
    return module


class Distribution:
    """A distribution with this metadata."""

    def __init__(self, version: str = "1.0", **fields: str):
        self.version, self.requires, self.metadata = version, (), Message()
        for name, value in fields.items():
            self.metadata[name.replace("_", "-")] = value


def test_what_pgcgan_needs_passes_the_audit() -> None:
    run = subprocess.run([sys.executable, ROOT / ".ci" / "audit", "--needed"], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, ""), run.stdout
    assert re.fullmatch(r"\d+ distributions, \d+ of them needed: 0 findings\n", run.stdout)


def test_the_closure_is_that_of_the_metadata(audit) -> None:
    needed = audit.needed(audit.installed())
    assert {"numpy", "markupsafe", "tskit", "safetensors"} <= needed.keys()  # tskit: by msprime
    assert needed["numpy"] == "always"
    assert needed["torch"] == "extra gan"
    assert needed["zstandard"] == "extra plink"
    assert needed["execnet"] == "group dev"  # by pytest-xdist
    assert "pgcgan" not in needed


def test_what_is_not_at_its_pin_is_found(audit) -> None:
    here = {"torch": Distribution("2.13.0+cpu"), "numpy": Distribution("2.0"), "rich": Distribution()}
    pinned = audit.pins(["# versions", "torch==2.13.0", "numpy==2.4.6", "Ruamel_YAML==1"])
    assert pinned == {"torch": "2.13.0", "numpy": "2.4.6", "ruamel-yaml": "1"}
    assert audit.unpinned(here, pinned) == [
        "numpy 2.0 is installed, constraints.txt has 2.4.6",
        "rich 1.0 is installed, constraints.txt has no version of it",
    ]


@pytest.mark.parametrize(
    ("name", "said", "accepted"),
    [
        ("a", "MIT", True),
        ("a", "LGPL-3.0-only", True),
        ("a", "GNU Lesser General Public License v3 (LGPLv3)", True),
        ("a", "GPL-3.0-or-later", False),
        ("a", "GNU General Public License v3 (GPLv3)", False),
        ("msprime", "GPL-3.0-or-later", True),
        ("msprime", "AGPL-3.0", False),
        ("a", "CC-BY-NC-4.0 (NonCommercial)", False),
        ("a", "SSPL-1.0", False),
        ("a", "UNKNOWN", False),
        ("a", "", False),
    ],
)
def test_licences_that_are_refused(audit, name: str, said: str, accepted: bool) -> None:
    text = audit.licence(Distribution(Name=name, License_Expression=said)) if said else ""
    assert (audit.refused(name, text) is None) == accepted


def test_licences_are_read_from_classifiers_and_fields(audit) -> None:
    assert audit.licence(Distribution(Name="a", Classifier="License :: OSI Approved :: MIT License")) == "MIT"
    assert audit.licence(Distribution(Name="a", License="BSD 3-Clause\n\nCopyright …")) == "BSD 3-Clause"
    assert audit.licence(Distribution(Name="a")) == ""


def test_an_import_that_nothing_brings_is_found(audit, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import os, numpy.linalg\nfrom . import b\nfrom requests.adapters import x\n")
    (tmp_path / "b.py").write_text("def f():\n    import pytest\n    import sklearn\n")
    assert audit.undeclared(tmp_path) == [
        f"{tmp_path}/a.py:3: requests is not among the requirements of pyproject.toml",
        f"{tmp_path}/b.py:2: pytest is not among the requirements of pyproject.toml",
    ]


# ---- no connection --------------------------------------------------------------------------------------------------

OFFLINE = """
import socket, sys

def watch(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind"}:
        print("CONNECTION", event, arguments[-1], flush=True)
        raise RuntimeError("no connection is to be made")

class NoSocket(socket.socket):
    def __init__(self, *arguments, **named):
        print("SOCKET", arguments, flush=True)
        raise RuntimeError("no socket is to be made")

sys.addaudithook(watch)
socket.socket = NoSocket
"""
CHAIN = """
from pgcgan.cli import main
for line in (
    "simulate --people 60 --length 40000 --split split.tsv -o c.vcf.gz",
    "train c.vcf.gz --panel c.panel.tsv --split split.tsv --min-maf 0.02 -o m",
    "generate m -n 48 -o s.vcf.gz",
    "evaluate --real c.vcf.gz --panel c.panel.tsv --split split.tsv --synthetic s.vcf.gz -o e.json",
    "report e.json -o r.html",
):
    assert main(line.split()) == 0, line
"""


def offline(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that can make no socket; where the system lets us, in a network of its own, without a way out."""
    apart = ["unshare", "--map-root-user", "--net"]
    usable = shutil.which("unshare") and subprocess.run([*apart, "true"], capture_output=True).returncode == 0
    command = [*(apart if usable else []), sys.executable, "-c", OFFLINE + code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_no_socket_from_simulation_to_report(tmp_path: Path) -> None:
    run = offline(CHAIN, tmp_path)
    assert run.returncode == 0, run.stderr
    assert not re.search("SOCKET|CONNECTION", run.stdout)
    page = re.sub(r"base64,[A-Za-z0-9+/=]+", "", (tmp_path / "r.html").read_text())
    assert not re.search(r"https?:|//[a-z]|@import|url\(|srcset", page.replace("http://www.w3.org/2000/svg", ""))
    addresses = re.findall(r"\b(?:src|href|action|data|poster)\s*=\s*[\"']?([^\"'\s>]*)", page)
    assert [a for a in addresses if not a.startswith(("#", "data:"))] == []


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import urllib.request; urllib.request.urlopen('http://localhost:9/')",
        "import _socket; _socket.socket().connect(('127.0.0.1', 9))",
    ],
)
def test_a_connection_would_be_seen(code: str, tmp_path: Path) -> None:
    run = offline(code, tmp_path)
    assert run.returncode != 0
    assert re.search("SOCKET|CONNECTION", run.stdout)

"""Reading from a web server: the same as from the disk, little of it, and plain errors where a transfer fails."""

from __future__ import annotations

import gzip
import io
import os
import shlex
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pysam
import pysam.bcftools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from web_server import WebServer

import pgcgan
from pgcgan import Genotypes, Variants, cli
from pgcgan.errors import DataError, UsageError
from pgcgan.io import read, read_panel, remote, write

HERE = Path(__file__).parent
REGION = "6:5000-6000"


def people(n_variants: int = 60, n_samples: int = 7, step: int = 200) -> Genotypes:
    calls = np.random.default_rng(1).integers(0, 2, (n_variants, n_samples, 2))
    positions = range(1, 1 + step * n_variants, step)
    variants = Variants(["6"] * n_variants, positions, ["."] * n_variants, ["A"] * n_variants, ["C"] * n_variants)
    labels = {"super_pop": ["AFR", "EUR"] * (n_samples // 2) + ["EUR"] * (n_samples % 2)}
    return Genotypes(calls, variants, [f"s{i}" for i in range(n_samples)], labels)


@pytest.fixture
def made(web: WebServer) -> Path:
    """Return a VCF in the folder that is served, with index and panel; several blocks long."""
    return write(people(400, 1500), web.folder / "a.vcf.gz")[0]


def error_of(*arguments: object, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        read(*arguments, **options)
    return str(caught.value)


# ---- the same people ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz", ".bcf", ".gz"])
def test_what_is_read_is_what_is_on_the_disk(web, suffix):
    path = web.folder / f"b{suffix}"
    if suffix == ".gz":
        write(people(), web.folder / "b.vcf")
        path.write_bytes(gzip.compress((web.folder / "b.vcf").read_bytes()))
    else:
        write(people(), path)
    url = f"{web.address}/b{suffix}"
    assert read(url).equals(read(path))
    assert read(url + "?version=2").equals(read(path))
    if suffix in (".vcf.gz", ".bcf"):
        assert read(url, region=REGION, samples=["s3", "s0"]).equals(read(path, region=REGION, samples=["s3", "s0"]))
        assert read(url + "?version=2", region=REGION).equals(read(path, region=REGION))
    else:
        assert error_of(url, region=REGION).startswith(f"{url} has no index on the server (.tbi or .csi at the end of ")


def test_an_index_of_either_kind(web, made):
    (made.parent / "a.vcf.gz.tbi").unlink()
    pysam.tabix_index(str(made), preset="vcf", csi=True)
    assert read(f"{web.address}/a.vcf.gz", region=REGION).equals(read(made, region=REGION))
    assert ("a.vcf.gz.csi", "bytes=0-0") in web.asked


def test_labels_from_the_server(web, made):
    panel = f"{web.address}/a.panel.tsv"
    assert read_panel(panel) == read_panel(made.parent / "a.panel.tsv")
    assert read(f"{web.address}/a.vcf.gz", panel, region=REGION).labels["super_pop"][1] == "EUR"
    with pytest.raises(DataError) as caught:
        read_panel(f"{web.address}/none.tsv")
    assert str(caught.value) == f"There is no file {web.address}/none.tsv (the server says 404 Not Found)."


def test_a_region_is_a_small_part_and_leaves_no_file(web, tmp_path, monkeypatch):
    big = write(people(3000, 2000), web.folder / "big.vcf.gz")[0]
    size = big.stat().st_size
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    part = read(f"{web.address}/big.vcf.gz", region="6:400001-402000")
    assert part.equals(read(big, region="6:400001-402000"))
    assert part.n_variants == 10
    assert size > 1_500_000
    assert web.sent < 0.15 * size
    assert os.listdir() == []
    web.sent = 0
    assert read(f"{web.address}/big.vcf.gz").n_variants == 3000
    assert size <= web.sent < size + 100
    assert os.listdir() == []


@given(st.data())
@settings(max_examples=25)
def test_any_walk_through_a_file(walked, data):
    server, content = walked
    with pytest.MonkeyPatch.context() as patch, io.BytesIO(content) as here:
        patch.setenv("no_proxy", "127.0.0.1")
        patch.setattr(remote, "FIRST_BLOCK", 16)
        patch.setattr(remote, "LARGEST_BLOCK", 128)
        begin = here.seek(data.draw(st.integers(0, len(content) + 5)))
        with remote.RemoteFile(f"{server.address}/walk", begin) as there:
            for _ in range(data.draw(st.integers(1, 8))):
                size = data.draw(st.integers(1, 300))
                got = b""
                while len(got) < size and (piece := there.read(size - len(got))):
                    got += piece
                assert got == here.read(size)


@pytest.fixture(scope="module", params=["ranges", "whole", "unsized"])
def walked(request, tmp_path_factory):
    """Return a server of 1,000 random bytes that knows ranges, does not, or does not tell sizes; small blocks."""
    folder = tmp_path_factory.mktemp("walk")
    content = np.random.default_rng(0).bytes(1000)
    (folder / "walk").write_bytes(content)
    server = WebServer(folder)
    server.fault = lambda path, before: None if request.param == "ranges" else request.param
    yield server, content
    server.stop()


def test_an_empty_file(web):
    (web.folder / "empty.vcf").touch()
    assert "this with nothing: it is empty" in error_of(f"{web.address}/empty.vcf")


def test_training_from_an_address(web, made, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pgcgan"])
    where = f"{web.address}/a.vcf.gz --panel {web.address}/a.panel.tsv"
    line = f"train {where} --region {REGION} --model independent -o m.model"
    assert cli.main(shlex.split(line)) == 0, capsys.readouterr().err
    assert "at 5 sites" in capsys.readouterr().err
    assert sorted(os.listdir()) == ["m.model", "web"]


# ---- faults that pass ---------------------------------------------------------------------------------------------

PASSING = {
    500: "the server says 500 Internal Server Error",
    429: "the server says 429 Too Many Requests",
    "cut": "the transfer stops after",
    "stall": "nothing has come for 0.2 s",
    "silent": "nothing has come for 0.2 s",
    "whole, cut": "the transfer stops after",
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_overcome_and_one_that_stays_is_told(web, made, monkeypatch, caplog, fault):
    monkeypatch.setattr(remote, "STALL", 0.2)
    url = f"{web.address}/a.vcf.gz"
    for region in (None, REGION):
        # every second request fails
        web.fault = lambda path, before: fault if before % 2 == 0 else None
        web.asked.clear()
        assert read(url, region=region).equals(read(made, region=region))
        assert any(PASSING[fault] in r.message and r.message.endswith("trying again in 0 s.") for r in caplog.records)
    web.fault = lambda path, before: fault
    web.asked.clear()
    told = error_of(url)
    assert told.startswith(f"{url} cannot be read: {PASSING[fault]}")
    assert told.endswith("; tried 3 times.")
    assert len(web.asked) == 3


def test_a_transfer_that_trickles_ends(web, made, monkeypatch):
    monkeypatch.setattr(remote, "SLOW", 0.2)
    web.fault = lambda path, before: "trickle"
    assert " bytes have come in 0.2 s; tried 3 times." in error_of(f"{web.address}/a.vcf.gz")


def test_no_connection(web, made):
    web.stop()
    url = f"{web.address}/a.vcf.gz"
    assert error_of(url) == f"{url} cannot be read: 127.0.0.1 refuses the connection; tried 3 times."


def test_a_name_that_is_not_known(monkeypatch):
    asked = []

    def unknown(name, *_, **__):
        asked.append(name)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("no_proxy", "*")
    assert error_of("https://data.example/a.vcf.gz", region=REGION) == (
        "https://data.example/a.vcf.gz cannot be read: the name of the server, data.example, cannot be resolved; check "
        "the address and the network."
    )
    assert asked == ["data.example"]


# ---- faults that stay ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (404, "There is no file {url} (the server says 404 Not Found)."),
        (403, "{url} may not be read (the server says 403 Forbidden); is the address right?"),
        (418, "{url} cannot be read: the server says 418 I'm a Teapot."),
        (
            "shifted",
            "{url} cannot be read: asked for the bytes 0 to 65535, the server answers with 'bytes 1-65536/{size}'.",
        ),
    ],
)
def test_what_asking_again_would_not_change_is_not_asked_again(web, made, fault, told):
    web.fault = lambda path, before: fault
    url = f"{web.address}/a.vcf.gz"
    assert error_of(url) == told.format(url=url, size=made.stat().st_size)
    assert len(web.asked) == 1


def test_a_server_that_sends_whole_files_only(web, made, caplog):
    web.fault = lambda path, before: "whole"
    url = f"{web.address}/a.vcf.gz"
    assert read(url).equals(read(made))
    assert not caplog.records
    # the region lies far from the start, so that all before it comes too
    assert read(url, region="6:70000-71000").equals(read(made, region="6:70000-71000"))
    (told,) = (r.message for r in caplog.records)
    assert told.startswith(f"The server of {url} sends whole files only: ")


def test_a_redirection_is_followed(web, made):
    web.fault = lambda path, before: f"to {web.address}/a.vcf.gz{path[3:]}" if path.startswith("old") else None
    assert read(f"{web.address}/old", region=REGION).equals(read(made, region=REGION))
    web.fault = lambda path, before: f"to {web.address}/{path}"
    assert "redirect" in error_of(f"{web.address}/a.vcf.gz")


def test_a_file_that_is_not_whole_on_the_server(web, made):
    url = f"{web.address}/a.vcf.gz"
    made.write_bytes(made.read_bytes()[:-28])
    for region in (None, REGION):
        assert error_of(url, region=region).startswith(f"{url} is truncated: the bgzip end-of-file block is missing;")
    made.write_bytes(gzip.compress(gzip.decompress(made.read_bytes()), 1)[:-1000])
    assert error_of(url).startswith(f"{url} is truncated")


def test_a_file_that_changes_while_it_is_read(web, made):
    web.fault = lambda path, before: "changed"
    url = f"{web.address}/a.vcf.gz"
    assert error_of(url) == f"{url} has changed on the server while it was read; start again."


def test_no_index(web, made):
    url = f"{web.address}/a.vcf.gz"
    told = (
        f"{url} has no index on the server (.tbi or .csi at the end of its name), by which a region is found; download "
        "the file, or read it whole, without a region."
    )
    web.fault = lambda path, before: 403 if path.endswith(".csi") else None
    (web.folder / "a.vcf.gz.tbi").unlink()
    assert error_of(url, region=REGION) == told


def test_an_index_that_is_none_and_one_of_another_file(web, made):
    url = f"{web.address}/a.vcf.gz"
    index = web.folder / "a.vcf.gz.tbi"
    whole = index.read_bytes()
    index.write_text("text")
    assert error_of(url, region=REGION).startswith(f"The index {url}.tbi cannot be read (")
    # one offset is behind the end of this file, the other inside a block of it
    for other, region in ((people(2500, 1500), "6:490000-491000"), (people(400, 1000), "6:70000-71000")):
        write(other, web.folder / "other.vcf.gz", force=True)
        shutil.copy(web.folder / "other.vcf.gz.tbi", index)
        for file in (url, str(made)):
            message = error_of(file, region=region)
            assert f"{file}.tbi is that of another file" in message
            assert "bcftools index -f" in message
    index.write_bytes(whole)
    assert read(url, region=REGION).n_variants == 5


def test_addresses_that_cannot_be_read(web, made):
    for address, told in {
        "ftp://a.example/b.vcf.gz": "ftp servers, that of the 1000 Genomes Project too, answer under https:// as well.",
        "s3://bucket/b.vcf.gz": "a public bucket is read as https://BUCKET.s3.amazonaws.com/NAME.",
        "gs://bucket/b.vcf.gz": "The address gs://bucket/b.vcf.gz cannot be read; accepted: http:// and https://.",
        "https://a.example/b.pgen": "cannot be read over the network, as VCF and BCF can; download the files first.",
    }.items():
        with pytest.raises(UsageError) as caught:
            read(address)
        assert str(caught.value).endswith(told)
    with pytest.raises(UsageError, match=r"^https:/a.example/b.vcf.gz is an address that has lost a slash, as in a pa"):
        read(Path("https://a.example/b.vcf.gz"))
    with pytest.raises(UsageError, match=r"http://a\.example:port/b\.vcf\.gz .* port"):
        read("http://a.example:port/b.vcf.gz")
    (web.folder / "b c.vcf.gz").write_bytes(made.read_bytes())
    web.folder.joinpath("b c.vcf.gz").rename(web.folder / "b%20c.vcf.gz")
    assert read(f"{web.address}/b c.vcf.gz").n_variants == 400


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/a.vcf.gz", "file:///etc/passwd"])
def test_a_redirection_to_another_scheme_is_not_followed(web, made, target):
    web.fault = lambda path, before: f"to {target}"
    for region in (None, REGION):
        message = error_of(f"{web.address}/a.vcf.gz", region=region)
        assert "redirect" in message.lower() and target.partition(":")[0] in message
    assert len(web.asked) == 2


def test_a_redirection_from_https_to_http_is_not_followed(web, made, monkeypatch):
    monkeypatch.setenv("CURL_CA_BUNDLE", str(HERE / "localhost.pem"))
    server = WebServer(web.folder, HERE / "localhost.pem")
    try:
        server.fault = lambda path, before: f"to {web.address}/a.vcf.gz"
        message = error_of(f"{server.address}/a.vcf.gz")
        assert "redirects" in message and "https" in message
        assert web.asked == []
    finally:
        server.stop()


def test_credentials_do_not_come_into_messages(web, made, caplog):
    host = web.address.removeprefix("http://")
    with pytest.raises(UsageError) as caught:
        read(f"http://me:secret@{host}/a.vcf.gz")
    assert host.partition(":")[0] in str(caught.value) and "secret" not in str(caught.value)
    for fault in (404, 500, "cut", "changed", "shifted", "to ftp://127.0.0.1/a"):
        web.fault = lambda path, before, fault=fault: fault
        for region in (None, REGION):
            assert "secret" not in error_of(f"{web.address}/a.vcf.gz?key=secret", region=region)
    assert "secret" not in caplog.text


def test_a_server_that_sends_for_ever(web, made, monkeypatch):
    url = f"{web.address}/a.vcf.gz"
    web.fault = lambda path, before: "gigantic"
    assert str(1 << 50) in error_of(url)
    monkeypatch.setattr(remote, "_LARGEST_UNSIZED", made.stat().st_size // 2)
    for fault in ("endless", "unsized"):
        web.fault = lambda path, before, fault=fault: fault
        message = error_of(url)
        assert "does not say how large" in message and str(made.stat().st_size // 2) in message
    web.fault = lambda path, before: "whole"  # with a size, half of which is no limit
    assert read(url).n_variants == 400


def test_a_copy_that_fills_the_disk(web, made, monkeypatch):
    def full():
        return open("/dev/full", "w+b", buffering=0)

    monkeypatch.setattr(remote.tempfile, "TemporaryFile", full)
    web.fault = lambda path, before: "whole"
    message = error_of(f"{web.address}/a.vcf.gz")
    assert "No space left on device" in message and "TMPDIR" in message
    assert len(web.asked) == 1


def test_a_table_without_end_is_refused(web, monkeypatch):
    (web.folder / "panel.tsv").write_bytes(b"sample\tpop\n" + b"x" * 5000)
    monkeypatch.setattr(remote, "_LARGEST_TABLE", 4000)
    with pytest.raises(DataError, match="panel.tsv has more than 4000 bytes"):
        read_panel(f"{web.address}/panel.tsv")


# ---- TLS ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "CURL_CA_BUNDLE"])
def test_certificates_are_checked_against_those_of_the_system_or_the_environment(web, made, monkeypatch, variable):
    server = WebServer(web.folder, HERE / "localhost.pem")
    try:
        url = f"{server.address}/a.vcf.gz"
        for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(name, raising=False)
        told = error_of(url)
        assert told.startswith(f"{url} cannot be read: the certificate of 127.0.0.1 is not trusted (self")
        assert told.endswith("SSL_CERT_FILE or CURL_CA_BUNDLE names a file of certificates to trust.")
        monkeypatch.setenv(variable, str(HERE / "localhost.pem"))
        assert read(url, region=REGION).equals(read(made, region=REGION))
    finally:
        server.stop()


def test_a_bundle_of_certificates_that_is_not_there(monkeypatch):
    monkeypatch.setenv("CURL_CA_BUNDLE", "/none.pem")
    with pytest.raises(UsageError) as caught:
        read("https://127.0.0.1:1/a.vcf.gz")
    assert str(caught.value) == (
        "The certificates of CURL_CA_BUNDLE, /none.pem, cannot be read: No such file or directory."
    )


def test_nothing_is_asked_of_the_network_without_an_address(made, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    pgcgan.write(pgcgan.read(made, region=REGION), made.parent / "again.vcf.gz")

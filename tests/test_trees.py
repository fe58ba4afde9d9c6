"""Reading tree sequences, against tskit's own genotypes and the VCF that it writes."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import bio2zarr.tskit
import msprime
import numpy as np
import pytest
import tskit
import zarr

from pgcgan import cli, read
from pgcgan.errors import DataError, UsageError


def simulated(people: int = 20, length: int = 20_000, ploidy: int = 2, rate: float = 1e-7) -> tskit.TreeSequence:
    """Return people of one population, at sites of two alleles where mutations are rare; none of them at 0."""
    ts = msprime.sim_ancestry(
        people, sequence_length=length, population_size=10_000, recombination_rate=1e-8, ploidy=ploidy, random_seed=3
    )
    ts = msprime.sim_mutations(ts, rate=rate, random_seed=4)
    return ts.delete_sites([s.id for s in ts.sites() if s.position == 0 or (rate < 1e-6 and len(s.mutations) > 1)])


def saved(ts: tskit.TreeSequence, folder: Path) -> Path:
    ts.dump(folder / "a.trees")
    return folder / "a.trees"


def with_metadata(ts: tskit.TreeSequence, rows: list[dict], table: str = "individuals") -> tskit.TreeSequence:
    """Return the same trees with JSON metadata of individuals or populations."""
    tables = ts.dump_tables()
    its = getattr(tables, table)
    its.metadata_schema = tskit.MetadataSchema({"codec": "json"})
    its.packset_metadata([its.metadata_schema.validate_and_encode_row(row) for row in rows])
    return tables.tree_sequence()


def with_missing(ts: tskit.TreeSequence) -> tskit.TreeSequence:
    """Return trees in which the first two people have no ancestry in the second quarter."""
    length = ts.sequence_length
    nodes = ts.individual(0).nodes.tolist() + ts.individual(1).nodes.tolist()
    tables = ts.dump_tables()
    tables.mutations.clear()
    tables.edges.clear()
    for edge in ts.edges():
        if edge.child in nodes:
            for left, right in ((0, length / 4), (length / 2, length)):
                a, b = max(left, edge.left), min(right, edge.right)
                if a < b:
                    tables.edges.add_row(a, b, edge.parent, edge.child)
        else:
            tables.edges.append(edge)
    for m in ts.mutations():
        if m.node not in nodes:
            tables.mutations.append(m.replace(parent=-1))
    tables.sort()
    tables.build_index()
    tables.compute_mutation_parents()
    return tables.tree_sequence()


# ---- the same answer as tskit -------------------------------------------------------------------------------------


def test_the_genotypes_are_those_of_tskit(tmp_path):
    ts = simulated()
    got = read(saved(ts, tmp_path))
    assert ts.num_sites > 100
    assert got.phased
    assert np.array_equal(got.calls.reshape(ts.num_sites, -1), ts.genotype_matrix())
    assert got.variants.position.tolist() == ts.sites_position.tolist()
    assert got.samples.tolist() == [f"tsk_{i}" for i in range(20)]
    assert got.variants.contig_lengths == {"1": 20_000}
    assert [(v.ref, v.alt) for v in [got.variants.select([i]) for i in range(5)]] == [
        ([a.alleles[0]], [a.alleles[1]]) for a in list(ts.variants())[:5]
    ]


KINDS = {
    "diploid": simulated(),
    "haploid": simulated(ploidy=1),
    "missing": with_missing(simulated()),
    "several mutations a site": simulated(length=200, rate=1e-5),
    "no individuals": simulated(ploidy=1),
}
_tables = KINDS["no individuals"].dump_tables()
_tables.individuals.clear()
_tables.nodes.individual = np.full(len(_tables.nodes), -1, dtype=np.int32)
KINDS["no individuals"] = _tables.tree_sequence()


@pytest.mark.parametrize("ts", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("options", [{}, {"multiallelic": "drop"}, {"samples": ["tsk_7", "tsk_0"]}])
def test_they_are_those_of_the_vcf_that_tskit_writes(tmp_path, ts, options):
    options = {"multiallelic": "split", **options}
    with open(tmp_path / "a.vcf", "w") as stream:
        ts.write_vcf(stream)
    expected = read(tmp_path / "a.vcf", **options)
    got = read(saved(ts, tmp_path), **options)
    assert np.array_equal(got.calls, expected.calls)
    assert got.samples.tolist() == expected.samples.tolist()
    for name in ("contig", "position", "ref", "alt"):
        assert np.array_equal(getattr(got.variants, name), getattr(expected.variants, name)), name
    assert got.variants.contig_lengths == expected.variants.contig_lengths
    assert got.phased is expected.phased is True


def test_the_kinds_have_what_their_names_say():
    assert min(v.genotypes.min() for v in KINDS["missing"].variants()) == -1
    assert max(v.num_alleles for v in KINDS["several mutations a site"].variants()) == 4
    assert KINDS["no individuals"].num_individuals == 0


def test_they_are_those_of_the_zarr_that_bio2zarr_makes(tmp_path):
    ts = KINDS["missing"]
    with zarr.config.set({"array.write_empty_chunks": True}):
        bio2zarr.tskit.convert(saved(ts, tmp_path), tmp_path / "b.vcz")
    assert replace(read(tmp_path / "a.trees"), labels={}).equals(read(tmp_path / "b.vcz"))


def test_the_nodes_of_a_person_need_not_be_side_by_side(tmp_path):
    tables = tskit.TableCollection(10)
    for _ in range(2):
        tables.individuals.add_row()
    for i in (0, 1, 0, 1):
        tables.nodes.add_row(flags=tskit.NODE_IS_SAMPLE, time=0, individual=i)
    root = tables.nodes.add_row(time=1)
    for node in range(4):
        tables.edges.add_row(0, 10, root, node)
    site = tables.sites.add_row(5, "AC")
    tables.mutations.add_row(site, node=2, derived_state="G")
    ts = tables.tree_sequence()
    got = read(saved(ts, tmp_path))
    assert got.calls.tolist() == [[[0, 1], [0, 0]]]
    assert got.variants.name(0) == "1:5 AC>G"


# ---- names, labels, parts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["name", "id", "sample_id"])
def test_names_come_from_the_metadata(tmp_path, key):
    ts = with_metadata(simulated(3), [{key: f"NA{i}", "sex": 1} for i in range(3)])
    assert read(saved(ts, tmp_path)).samples.tolist() == ["NA0", "NA1", "NA2"]


@pytest.mark.parametrize("rows", [[{"name": "a"}, {}, {"name": "c"}], [{"name": "a"}, {"name": "a"}, {"name": "c"}]])
def test_names_that_are_not_complete_or_not_unique_are_not_taken(tmp_path, rows):
    assert read(saved(with_metadata(simulated(3), rows), tmp_path)).samples.tolist() == ["tsk_0", "tsk_1", "tsk_2"]


def test_populations_become_labels(tmp_path):
    demography = msprime.Demography.island_model([1000, 1000], 1e-3)
    demography.populations[0].name, demography.populations[1].name = "YRI", "FIN"
    ts = msprime.sim_ancestry({"YRI": 3, "FIN": 2}, demography=demography, sequence_length=1e5, random_seed=1)
    ts = msprime.sim_mutations(ts, rate=1e-7, random_seed=1)
    assert ts.sites_position[0] > 0
    got = read(saved(ts, tmp_path), samples=["tsk_4", "tsk_0"])
    assert got.labels["pop"].tolist() == ["FIN", "YRI"]
    nameless = with_metadata(ts, [{"name": "YRI"}, {}], "populations")
    assert not read(saved(nameless, tmp_path)).labels


@pytest.mark.parametrize("region", ["1", "1:5000-9000", "1:12000-", "first", "last"])
def test_regions_are_those_of_the_whole(tmp_path, region):
    ts = simulated()
    position = ts.sites_position.astype(int)
    region = {"first": f"1:{position[0]}", "last": f"1:{position[-1]}-{position[-1]}"}.get(region, region)
    path = saved(ts, tmp_path)
    whole = read(path)
    got = read(path, region=region, samples=["tsk_3", "tsk_1"])
    assert got.equals(whole.select(samples=["tsk_3", "tsk_1"], region=region))


@pytest.mark.parametrize(
    ("region", "text"),
    [
        ("2", "{path} holds no record that starts in the region 2; its contigs: 1."),
        ("1:19999-20000", "{path} holds no record that starts in the region 1:19999-20000; its contigs: 1."),
    ],
)
def test_regions_that_are_not_there(tmp_path, region, text):
    path = saved(simulated(2), tmp_path)
    with pytest.raises(DataError) as caught:
        read(path, region=region)
    assert str(caught.value) == text.format(path=path)


# ---- what is refused ----------------------------------------------------------------------------------------------


def test_people_of_two_ploidies(tmp_path):
    tables = simulated(3).dump_tables()
    individual = tables.nodes.individual
    individual[5] = tables.individuals.add_row()
    tables.nodes.individual = individual
    path = saved(tables.tree_sequence(), tmp_path)
    with pytest.raises(DataError, match="haploid='diploid' \\(--haploid diploid\\) doubles haploid calls"):
        read(path)
    assert read(path, haploid="diploid").n_samples == 4


def four_haplotypes() -> tskit.TreeSequence:
    return simulated(3, ploidy=4)


def a_node_alone() -> tskit.TreeSequence:
    tables = simulated(3).dump_tables()
    individual = tables.nodes.individual
    individual[5] = -1
    tables.nodes.individual = individual
    return tables.tree_sequence()


def between_bases() -> tskit.TreeSequence:
    ts = msprime.sim_ancestry(3, sequence_length=1e4, population_size=1e4, random_seed=1)
    return msprime.sim_mutations(ts, rate=1e-7, random_seed=1, discrete_genome=False)


def at_zero() -> tskit.TreeSequence:
    tables = simulated(3).dump_tables()
    tables.mutations.clear()
    tables.sites.clear()
    tables.sites.add_row(0, "A")
    return tables.tree_sequence()


def an_empty_allele() -> tskit.TreeSequence:
    tables = at_zero().dump_tables()
    tables.sites.clear()
    tables.sites.add_row(7, "A")
    tables.mutations.add_row(0, node=1, derived_state="")
    return tables.tree_sequence()


def nobody() -> tskit.TreeSequence:
    return tskit.TableCollection(10).tree_sequence()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (four_haplotypes, "FILE: the individual 0 has 4 sample nodes; accepted: 1 (haploid) and 2."),
        (
            a_node_alone,
            "FILE: the sample node 5 belongs to no individual, while others do; remove it with tskit's `simplify`, or "
            "give it an individual.",
        ),
        (
            between_bases,
            "FILE: the site 0 is at 166.24, which is no whole number; simulate with a discrete genome, or round the "
            "positions with tskit.",
        ),
        (
            at_zero,
            "FILE: the site 0 is at the position 0, which a VCF does not have; move all by one with tskit's "
            "`ts.shift(1)`, or leave the site out with `ts.delete_sites([0])`.",
        ),
        (an_empty_allele, "FILE: record 1:7 A>. has an allele without letters, which a VCF cannot hold."),
        (nobody, "FILE has no sample nodes; genotypes of people are needed."),
    ],
)
def test_what_is_refused(tmp_path, make, message):
    ts = make()
    path = saved(ts, tmp_path)
    if make is between_bases:
        message = message.replace("166.24", str(ts.sites_position[0]))
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value).replace(str(path), "FILE") == message


def test_the_ways_out_of_position_zero(tmp_path):
    ts = at_zero()
    assert read(saved(ts.shift(1), tmp_path)).variants.position.tolist() == [1]
    assert ts.delete_sites([0]).num_sites == 0


@pytest.mark.parametrize("content", [b"", b"hello, this is no tree sequence at all", None])
def test_what_is_no_tree_sequence(tmp_path, content):
    path = saved(simulated(2), tmp_path)
    path.write_bytes(path.read_bytes()[:3000] if content is None else content)
    with pytest.raises(DataError, match=f"^{path} is not a tree sequence, or is damaged: ."):
        read(path)
    path.unlink()
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value) == f"There is no file {path}."


# ---- the command line ---------------------------------------------------------------------------------------------


def test_a_tree_sequence_is_converted_but_not_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pgcgan"])
    saved(simulated(), tmp_path)
    assert cli.main(["convert", "a.trees", "a.vcz"]) == 0
    assert read("a.vcz").equals(read("a.trees"))
    assert cli.main(["info", "a.trees"]) == 0
    assert "people: 20" in capsys.readouterr().out
    assert cli.main(["convert", "a.vcz", "b.trees"]) == UsageError.exit_code
    assert capsys.readouterr().err == (
        "pgcgan: error: b.trees cannot be written: a tree sequence holds a genealogy, which genotypes do not say; "
        "write a VCF Zarr (.vcz), from which tsinfer infers one.\n"
    )
    assert not Path("b.trees").exists()

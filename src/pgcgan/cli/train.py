"""train: fit a model to labelled people, with the options of privacy, and in several processes."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ..errors import DataError, PgcganError, UsageError
from ..runtime.memory import out_of_memory
from ..runtime.progress import progress, say
from ..text import whole_number
from .app import FILE, OUTPUT, BaselineOptions, Label, NetworkOptions, PrivacyOptions, Reading, app, named_values
from .files import model_free, people_at_sites, read_train

if TYPE_CHECKING:
    from ..generators.estimate import Estimate, ExpectedLeak
    from ..generators.generator import Generator
    from ..genotypes import Genotypes


@app.command
def train(
    vcf: Annotated[str, FILE],
    /,
    *,
    panel: str,
    output: Annotated[str, OUTPUT],
    label: Label = None,
    split: str | None = None,
    model: Literal["haplotype", "gan", "paper", "independent", "li-stephens", "pca-gaussian", "smote"] = "haplotype",
    settings: Annotated[list[str] | None, Parameter(name="--set")] = None,
    network: NetworkOptions | None = None,
    baseline: BaselineOptions | None = None,
    privacy: PrivacyOptions | None = None,
    windows: int | None = None,
    executor: str | None = None,
    resume: bool = False,
    reading: Reading | None = None,
    seed: int = 0,
    force: bool = False,
) -> None:
    """Learn from labelled people; write a model directory.

    Parameters
    ----------
    vcf
        VCF (plain, gzip, bgzip), BCF, NAME.bed, .pgen, .hap.gz, .vcz, .trees or .npz; "-" reads VCF or BCF from
        standard input, and an http or https address one from a server, with --region that part of it alone.
    panel
        Labels: a 1000 Genomes panel or .ped, or any table with a sample column; an address too.
    output
        The model directory to write.
    split
        A table with the columns sample and split: only people with split = train are used. auto divides the panel
        8 to 2, stratified by population, families together, in the same way for evaluate.
    model
        haplotype (closed form, the default), gan (the conditional GAN), paper (the network of the PG-cGAN paper), or a
        baseline. li-stephens and smote keep the training people in the model directory.
    settings
        NAME=VALUE, as often as needed: any other parameter of the model, such as min_carriers=5.
    windows
        Cut the genome into windows of about so many sites, each fitted by itself: for data too large for one model.
    executor
        With --windows: where they are fitted. serial (the default), processes, processes:N or dask://HOST:PORT.
    resume
        Continue from the checkpoint of a network, or with the windows, in the model directory.
    seed
        The same seed, data and versions give the same model on a CPU.
    force
        Replace a model that exists; it stays until the new one is complete.
    """
    from ..registry import NETWORKS, create

    reading, privacy = reading or Reading(), privacy or PrivacyOptions()
    family, private = _privacy_parameters(privacy, model, windows, reading)
    if several() and model not in NETWORKS:
        raise UsageError(
            "torchrun trains one network (--model gan or paper) in several processes; --windows has --executor for "
            "that, and other models are fitted by one process."
        )
    if windows is not None:
        from .windows import genome_source, train_windows

        if model != "haplotype":
            raise UsageError(
                f"--model {model} has no meaning with --windows: windows are fitted with haplotype models."
            )
        check_options("haplotype", network, baseline)
        model_free(output, force=True)  # what is there is looked at by `train_windows`, which may resume it
        source = genome_source(vcf, panel, split, reading)
        options: dict[str, Any] = {"label": label or ["super_pop"], "seed": seed, **named_values(settings or [])}
        train_windows(source, output, executor or "serial", size=windows, resume=resume, force=force, **options)
        return
    if executor is not None:
        raise UsageError("--executor goes with --windows.")
    if resume and model not in NETWORKS:
        raise UsageError("--resume is for --model gan, --model paper and --windows: other models have no checkpoints.")
    parameters = {**check_options(model, network, baseline), **named_values(settings or []), **private}
    generator = create(family, label or ["super_pop"], seed=seed, **parameters)
    if not resume and _rank() == 0:
        model_free(output, force)
    people = read_train(vcf, panel, split, reading, generator.label)
    options = {"directory": output, "resume": resume, "force": force} if model in NETWORKS else {}
    if privacy.public is not None:
        options["public"] = _read_public(privacy.public, people, reading)
    estimate, leak = say_estimates(generator, people)
    _fit(generator, people, estimate, options)
    generator.save(output, force=force or resume or model in NETWORKS)  # a network: over its own checkpoints
    content = "; it holds the genotypes of the training people" if generator.holds_training_rows else ""
    _say_leak(generator, leak)
    say(f"{generator.name} model of {people_at_sites(people.n_samples, people.n_variants)}: {output}{content}")


def check_options(model: str, network: NetworkOptions | None, baseline: BaselineOptions | None) -> dict[str, Any]:
    """Return the options that were given, as parameters; raise UsageError if the model does not have one of them."""
    from ..registry import BASELINES, NETWORKS, family

    given = {**asdict(network or NetworkOptions()), **asdict(baseline or BaselineOptions())}
    parameters = {name: value for name, value in given.items() if value is not None}
    accepted = family(model).parameter_names() if parameters else []
    for name in parameters:
        if name not in accepted:
            others = NETWORKS if hasattr(NetworkOptions, name) else BASELINES
            having = [other for other in others if others is NETWORKS or name in family(other).parameter_names()]
            options = ", ".join("--" + n.replace("_", "-") for n in accepted if n in given) or "none"
            raise UsageError(
                f"--{name.replace('_', '-')} is for --model {' and '.join(having)}; the options of the {model} model: "
                f"{options}."
            )
    return parameters


def say_estimates(generator: Generator, people: Genotypes) -> tuple[Estimate | None, ExpectedLeak | None]:
    """Print, and return, the expected cost and leak of the training; raise DataError if memory is too small."""
    from ..generators.haplotype.cost import estimate_leak
    from ..runtime.memory import available_bytes

    estimate = generator.estimate(people)
    if estimate is not None:
        available = available_bytes()
        estimate.check(None if available is None else available // _processes_here())
        say(str(estimate))
    leak = estimate_leak(people, generator.label, generator.parameters())
    if leak is not None:
        say(str(leak))
    return estimate, leak


def _say_leak(generator: Generator, expected: ExpectedLeak | None) -> None:
    """Print the leak of a fitted model, if it is another than was expected, and what --private reached."""
    from ..generators.card import private_target

    leak, reached = generator.expected_leak_, private_target(generator.facts())
    if leak is not None and (expected is None or round(leak.auc, 2) != round(expected.auc, 2)):
        say(str(leak))
    if reached is not None:
        say(reached)


def _fit(generator: Generator, people: Genotypes, estimate: Estimate | None, options: Mapping[str, Any]) -> None:
    """Fit the generator; after Ctrl-C, name the option that continues, and without memory, what was expected."""
    try:
        with progress("training") as on_event:
            generator.fit(people, on_event=on_event, **options)
    except KeyboardInterrupt:
        if "directory" not in options:
            raise
        again = f"the same command with --resume continues from {options['directory']}"
        raise KeyboardInterrupt(f"training stopped; {again}") from None
    except MemoryError as error:
        expected = "" if estimate is None else f" ({estimate})"
        raise DataError(f"{out_of_memory(error).rstrip('.')}{expected}.") from None


# ---- privacy ---------------------------------------------------------------------------------------------------------


def _privacy_parameters(
    privacy: PrivacyOptions, model: str, windows: int | None, reading: Reading
) -> tuple[str, dict[str, Any]]:
    """Return the family to fit, and the parameters that the options of privacy set."""
    given = {name: value for name, value in asdict(privacy).items() if value is not None}
    if not given:
        return model, {}
    first = "--private" if "private" in given else "--epsilon"
    if model != "haplotype" or windows is not None:
        other = f"--model {model}" if windows is None else "--windows"
        raise UsageError(f"{first} has no meaning with {other}: it fits one haplotype model.")
    if "private" in given:
        if len(given) > 1:
            raise UsageError(
                f"--private sets a target for an attack, and --{[*given][1]} is for a guarantee; choose one."
            )
        return model, given
    if "epsilon" not in given:
        raise UsageError(f"--{next(iter(given))} goes with --epsilon.")
    if reading.min_maf is not None:
        raise UsageError(
            "--min-maf chooses sites by the frequencies of the cohort, which --epsilon protects; choose them by a "
            "public panel, for example with bcftools view -T, and leave --min-maf out."
        )
    return "private-haplotype", {name: given[name] for name in ("epsilon", "delta") if name in given}


def _read_public(path: str, people: Genotypes, reading: Reading) -> Genotypes:
    """Return the public people of a file at the sites of the cohort."""
    from ..io import read
    from ..variants import require_sites

    public = read(path, **asdict(replace(reading, population_map=None, intersect=False)))
    end = "; train on the sites that are in both"
    return public.select(sites=require_sites(public.variants, people.variants, f"are not in {path} (--public)", end))


# ---- several processes, by the variables that `torchrun` sets --------------------------------------------------------


def several() -> bool:
    """True if several processes train together."""
    return "MASTER_ADDR" in os.environ and _variable("WORLD_SIZE", 1) > 1


def _rank() -> int:
    """Return the rank of this process; rank 0 prints and writes."""
    return _variable("RANK", 0) if several() else 0


def _processes_here() -> int:
    """Return the number of processes that share this machine."""
    return max(1, _variable("LOCAL_WORLD_SIZE", 1)) if several() else 1


def _variable(name: str, otherwise: int) -> int:
    number = whole_number(os.environ.get(name, ""))
    return otherwise if number is None else number


@contextlib.contextmanager
def with_others(words: Sequence[str]) -> Iterator[None]:
    """Join the others for a command, if it is `train`."""
    if words[:1] != ["train"] or not several():
        yield
        return
    from ..generators.gan.parallel import process_group

    try:
        with process_group():
            yield
    except PgcganError:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the error is printed before torchrun ends all
        raise

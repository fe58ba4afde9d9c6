"""train: fit a model to labelled people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ..errors import DataError, UsageError
from ..runtime.memory import out_of_memory
from ..runtime.progress import progress, say
from .app import app
from .files import model_free, people_at_sites, read_train
from .options import FILE, OUTPUT, BaselineOptions, NetworkOptions, PrivacyOptions, Reading, named_values
from .private_training import privacy_parameters, read_public
from .processes import beside, number, several

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
    label: list[str] | None = None,
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
    label
        Label column of the panel, super_pop by default; repeat it for several.
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

    reading = reading or Reading()
    family, private = privacy_parameters(privacy, model, windows, reading)
    if several() and model not in NETWORKS:
        raise UsageError(
            "torchrun trains one network (--model gan or paper) in several processes; --windows has --executor for "
            "that, and other models are fitted by one process."
        )
    if windows is not None:
        from .windows import train_windows

        if model != "haplotype":
            raise UsageError(
                f"--model {model} has no meaning with --windows: windows are fitted with haplotype models."
            )
        check_options("haplotype", network, baseline)
        chosen: dict[str, Any] = {"label": label, "settings": settings, "reading": reading, "seed": seed}
        train_windows(vcf, panel, split, output, windows, executor or "serial", **chosen, resume=resume, force=force)
        return
    if executor is not None:
        raise UsageError("--executor goes with --windows.")
    if resume and model not in NETWORKS:
        raise UsageError("--resume is for --model gan, --model paper and --windows: other models have no checkpoints.")
    parameters = {**check_options(model, network, baseline), **named_values(settings or []), **private}
    generator = create(family, label or ["super_pop"], seed=seed, **parameters)
    if not resume and number() == 0:
        model_free(output, force)
    people = read_train(vcf, panel, split, reading, generator.label)
    public = read_public(privacy, people, reading)
    estimate, leak = say_estimates(generator, people)
    network_files = {"directory": output, "resume": resume, "force": force} if model in NETWORKS else {}
    _fit(generator, people, estimate, {**network_files, **({} if public is None else {"public": public})})
    generator.save(output, force=force or resume or model in NETWORKS)  # a network: over its own checkpoints
    content = "; it holds the genotypes of the training people" if generator.holds_training_rows else ""
    _say_leak(generator, leak)
    say(f"{generator.name} model of {people_at_sites(people.n_samples, people.n_variants)}: {output}{content}")


def check_options(model: str, network: NetworkOptions | None, baseline: BaselineOptions | None) -> dict[str, Any]:
    """Return the options that were given, as parameters; raise UsageError if the model does not have one of them."""
    from ..registry import BASELINES, NETWORKS, family

    given = [options for options in (network, baseline) if options is not None]
    parameters = {name: v for options in given for name, v in asdict(options).items() if v is not None}
    accepted = family(model).parameter_names() if parameters else []
    for name in parameters:
        if name not in accepted:
            option = f"--{name.replace('_', '-')}"
            others = NETWORKS if name in NetworkOptions.__dataclass_fields__ else BASELINES
            having = [other for other in others if others is NETWORKS or name in family(other).parameter_names()]
            options = ", ".join("--" + n.replace("_", "-") for n in accepted if n in _ALL_OPTIONS) or "none"
            raise UsageError(
                f"{option} is for --model {' and '.join(having)}; the options of the {model} model: {options}."
            )
    return parameters


_ALL_OPTIONS = {*NetworkOptions.__dataclass_fields__, *BaselineOptions.__dataclass_fields__}


def say_estimates(generator: Generator, people: Genotypes) -> tuple[Estimate | None, ExpectedLeak | None]:
    """Print, and return, the expected cost and leak of the training; raise DataError if memory is too small."""
    from ..generators.haplotype.cost import estimate_leak
    from ..runtime.memory import available_bytes

    estimate = generator.estimate(people)
    if estimate is not None:
        available = available_bytes()
        estimate.check(None if available is None else available // beside())
        say(str(estimate))
    leak = estimate_leak(people, generator.label, generator.parameters())
    if leak is not None:
        say(str(leak))
    return estimate, leak


def _say_leak(generator: Generator, expected: ExpectedLeak | None) -> None:
    """Print the leak of a fitted model, if it is another than was expected, and what --private reached."""
    from ..generators.card import private_target

    leak = generator.expected_leak_
    if leak is not None and (expected is None or round(leak.auc, 2) != round(expected.auc, 2)):
        say(str(leak))
    reached = private_target(generator.facts())
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

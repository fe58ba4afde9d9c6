"""train: a model or a baseline of labelled people."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import UsageError
from .app import FILE, OUTPUT, BaselineOptions, Reading, app
from .files import output_free, read_train
from .processes import beside, number, several
from .progress import progress, say

if TYPE_CHECKING:
    from ..generators.baselines import Baseline


@app.command
def train(
    vcf: Annotated[str, FILE],
    /,
    *,
    panel: str,
    output: Annotated[str, OUTPUT],
    label: list[str] | None = None,
    split: str | None = None,
    preset: str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    device: str | None = None,
    resume: bool = False,
    windows: int | None = None,
    executor: str | None = None,
    settings: Annotated[list[str] | None, Parameter(name="--set")] = None,
    baseline: str | None = None,
    baseline_options: BaselineOptions | None = None,
    reading: Reading | None = None,
    seed: int = 0,
    force: bool = False,
) -> None:
    """Learn from labelled people; write a model directory.

    The model holds none of them; two of the baselines do, and say so.

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
        A table with the columns sample and split: only people with split = train are used.
    preset
        haplotype (the default) or paper (the network of the PG-cGAN paper).
    minutes
        Add the network, and train it for so long. Without this, --steps or --set epochs=16, haplotype fits its prior
        alone, in seconds.
    steps
        Step budget of the training of the network.
    device
        auto (the default), cpu, cuda, …
    resume
        Go on from the checkpoint, or with the windows, in the model directory.
    windows
        Cut the genome into windows of about so many sites, fitted each by itself: for what is too large for one model.
    executor
        With --windows: where they are fitted. serial (the default), processes, processes:N or dask://HOST:PORT.
    settings
        NAME=VALUE, as often as needed: any setting of the network or of its training, such as loss=wgan-gp, epochs=20
        or run_carriers=5.
    baseline
        Fit a baseline in the place of the model: independent, li-stephens, pca-gaussian or smote.
    seed
        The same seed, data and versions give the same model on a CPU.
    force
        Replace a model that exists; it stays until the new one is whole.
    """
    if several() and (windows is not None or baseline is not None):
        raise UsageError(
            "torchrun trains one network in several processes; --windows has --executor for that, and a baseline is "
            "fitted by one process."
        )
    if windows is not None:
        from .genomes import train_windows

        unused = {"preset": preset, "minutes": minutes, "steps": steps, "device": device, "baseline": baseline}
        chosen: dict[str, Any] = {"label": label, "settings": settings, "reading": reading, "seed": seed}
        where = executor or "serial"
        train_windows(vcf, panel, split, output, windows, where, **chosen, resume=resume, force=force, idle=unused)
        return
    if executor is not None:
        raise UsageError("--executor goes with --windows.")
    kind = None
    if baseline is not None:
        given: dict[str, Any] = {"preset": preset, "minutes": minutes, "steps": steps, "device": device}
        given |= {"resume": resume or None, "set": settings}
        idle = [f"--{name}" for name, value in given.items() if value is not None]
        if idle:
            raise UsageError(f"{idle[0]} is for the model and has no meaning with --baseline {baseline}; leave it out.")
        kind = baseline_kind(baseline)
    elif baseline_options is not None:
        raise UsageError("The baseline options are for --baseline NAME; the model does not have them.")
    if not resume and number() == 0:
        output_free(output, force)
    options = _baseline_options(kind, baseline_options) if kind is not None else {}
    people = read_train(vcf, panel, split, reading or Reading())
    columns = label or ["super_pop"]
    if kind is not None:
        target = kind(columns, seed=seed, **options).fit(people).save(output, force=force)
        rows = "it holds the training people" if kind.holds_training_rows else "it holds no training people"
        say(f"{baseline} fitted to {people.n_samples} people at {people.n_variants} sites: {target} ({rows})")
        return
    from ..generators.model import PGcGAN
    from ..runtime.memory import available_bytes

    options = {"preset": preset, "minutes": minutes, "steps": steps, "device": device, **named_values(settings or [])}
    model = PGcGAN(columns, seed=seed, **{k: v for k, v in options.items() if v is not None})
    estimate = model.estimate(people)
    available = available_bytes()
    estimate.check(None if available is None else available // beside())
    say(str(estimate))
    with progress("training") as on_event:
        try:
            model.fit(people, directory=output, resume=resume, force=force, on_event=on_event)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"training stopped; the same command with --resume goes on from {output}") from None
    model.save(output, force=True)  # over its own checkpoints: that nothing else was there is checked above
    say(f"trained on {people.n_samples} people at {people.n_variants} sites: {output}")


def baseline_kind(name: str) -> type[Baseline]:
    """Return the baseline of this name."""
    from ..generators.baselines import BASELINES

    if name not in BASELINES:
        raise UsageError(f"Unknown baseline {name!r}; accepted: {', '.join(BASELINES)}.")
    return BASELINES[name]


def _baseline_options(kind: type[Baseline], given: BaselineOptions | None) -> dict[str, Any]:
    options = {k: v for k, v in asdict(given or BaselineOptions()).items() if v is not None}
    foreign = [name for name in options if name not in kind.options]
    if foreign:
        own = ", ".join("--" + name.replace("_", "-") for name in kind.options)
        raise UsageError(
            f"--{foreign[0].replace('_', '-')} is not an option of the {kind.name} baseline; "
            f"its options: {own or 'none'}."
        )
    return options


def named_values(settings: Sequence[str]) -> dict[str, Any]:
    """Return NAME=VALUE texts as a mapping; a value that is no Python literal is text."""
    found: dict[str, Any] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {text!r} cannot be read; accepted: NAME=VALUE, for example epochs=20.")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found

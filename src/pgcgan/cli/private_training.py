"""train --private and --epsilon: what the options of privacy mean, and the public people."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .app import PrivacyOptions, Reading
from .files import read_options

if TYPE_CHECKING:
    from ..genotypes import Genotypes


def privacy_parameters(
    privacy: PrivacyOptions | None, model: str, windows: int | None, reading: Reading
) -> tuple[str, dict[str, Any]]:
    """Return the family to fit, and the parameters that the options of privacy set.

    Raises
    ------
    UsageError
        If an option has no meaning beside another one, or would reveal what the guarantee protects.
    """
    given = {name: v for name, v in asdict(privacy).items() if v is not None} if privacy is not None else {}
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


def read_public(privacy: PrivacyOptions | None, people: Genotypes, reading: Reading) -> Genotypes | None:
    """Return the public people at the sites of the cohort; None if no file is given.

    Raises
    ------
    DataError
        If the file lacks a site of the cohort.
    """
    if privacy is None or privacy.public is None:
        return None
    from ..io import read
    from ..site_keys import require_sites

    options = read_options(replace(reading, population_map=None, intersect=False))
    public = read(privacy.public, **options)
    what = f"are not in {privacy.public} (--public)"
    return public.select(
        sites=require_sites(public.variants, people.variants, what, "; train on the sites that are in both")
    )

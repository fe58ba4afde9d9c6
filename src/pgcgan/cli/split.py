"""split: divide people into those to train on and those held out."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from ..errors import UsageError
from ..runtime.progress import say
from .app import OUTPUT, ReplaceFile, app
from .files import automatic_split, output_free, write_text


@app.command
def split(
    panel: str,
    /,
    *,
    output: Annotated[str, OUTPUT],
    share: float = 0.8,
    by: str | None = None,
    seed: int = 0,
    force: ReplaceFile = False,
) -> None:
    """Divide people into those to train on and those held out, families together; write the table for --split.

    Relatives on both sides would make the held-out people too like the training people. Families are found by the
    columns of parents (Paternal ID and Maternal ID, FatherID and MotherID, PAT and MAT); children of the same parent
    are siblings, whether that parent is in the table or not.

    Parameters
    ----------
    panel
        The people, and their parents if they are known: a pedigree file, a .fam, or any table with such columns.
    output
        The table to write, with the columns sample and split (train, test).
    share
        Share of the people to train on.
    by
        Label column in each of whose values the share is met; pop or super_pop by default, if there is one.
    seed
        The same seed gives the same split.
    """
    from ..families import families
    from ..io import read_parents

    if output == "auto":
        raise UsageError("--split auto has a meaning of its own; choose another name for the table.")
    output_free(output, force)
    part = automatic_split(panel, share, by, seed)
    write_text(output, "sample\tsplit\n" + "".join(f"{name}\t{where}\n" for name, where in part.items()), force)
    sizes = Counter(families(read_parents(panel)).values())
    several = [size for size in sizes.values() if size > 1]
    kept = f"; {len(several)} families ({sum(several)} people) kept together" if several else ""
    train = Counter(part.values())["train"]
    say(f"{train} people to train on, {len(part) - train} held out{kept}: {output}")

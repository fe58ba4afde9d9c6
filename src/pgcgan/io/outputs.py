"""Several output files that appear under their names together, when all of them are whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import UsageError


@contextmanager
def whole_files(target: str, names: Sequence[str], *, stale: Sequence[str] = (), force: bool = False) -> Iterator[str]:
    """Give a folder to write in; when the block ends well, its files replace those of the target's folder.

    Parameters
    ----------
    target : str
        The output that the user named, for messages; the files go to its folder.
    names : sequence of str
        File names without folder that the block writes.
    stale : sequence of str
        Files of an earlier output that would be taken for part of this one (an index): removed, if `force` is set.
    force : bool
        Replace files that exist.

    Yields
    ------
    str
        A temporary folder beside the target.

    Raises
    ------
    UsageError
        If the folder does not exist, a file exists and `force` is not set, or the disk refuses.
    """
    folder = os.path.dirname(target) or "."
    if not os.path.isdir(folder):
        raise UsageError(f"The folder {folder} of the output {target} does not exist.")
    existing = [n for n in (*names, *stale) if os.path.exists(os.path.join(folder, n))]
    if existing and not force:
        raise UsageError(
            f"{os.path.join(folder, existing[0])} exists; force=True (--force) replaces it, or choose another name."
        )
    try:
        with tempfile.TemporaryDirectory(prefix=".pgcgan-", dir=folder) as workspace:
            yield workspace
            for old in stale:
                Path(folder, old).unlink(missing_ok=True)
            for new in names:
                os.replace(os.path.join(workspace, new), os.path.join(folder, new))
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror or error}.") from None

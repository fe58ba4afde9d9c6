"""The application that the commands belong to."""

from __future__ import annotations

from cyclopts import App, Parameter


def _version() -> str:
    from ..provenance import VERSION

    return VERSION


app = App(
    name="pgcgan",
    help="Synthetic people for any label, learned from a VCF, with the evidence beside them.",
    help_epilogue="Every command takes -q (--quiet: results and errors alone) and -v (--verbose: each step, and the "
    "traceback of an error). pgcgan COMMAND --help has its options and an example.",
    version=_version,
    default_parameter=Parameter(negative="", negative_iterable=""),
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)

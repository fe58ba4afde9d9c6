"""A figure: panels with a common legend, for the page, as a file, and in a notebook."""

from __future__ import annotations

import importlib.resources
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ..errors import UsageError
from ..runtime.files import check_free, write_text
from ..text import counted
from .pictures import WIDTH, LdPlot
from .plots import LIGHT, Plot, Series, label, symbol


@dataclass(eq=False)
class Figure:
    """One figure of the report: panels with a common legend. A notebook shows it.

    Parameters
    ----------
    key : str
        Name of its file and its anchor.
    title, caption : str
    panels : list of Plot or LdPlot
    wide : bool
        True if it takes the whole width of the page.
    """

    key: str
    title: str
    caption: str
    panels: list[Plot | LdPlot]
    wide: bool = False

    @property
    def legend(self) -> list[Series]:
        """The first series of each name, in order."""
        first: dict[str, Series] = {}
        for panel in self.panels:
            for series in panel.series:
                first.setdefault(series.name, series)
        return [s for name, s in first.items() if name]

    @property
    def numbers(self) -> dict[str, int]:
        """The place of each name in the legend."""
        return {s.name: i for i, s in enumerate(self.legend)}

    @property
    def values(self) -> list[dict[str, Any]]:
        """The data for the script of the page, by panel."""
        return [p.values(self.numbers) for p in self.panels]

    @property
    def keyed(self) -> bool:
        """True if the page shows the legend; training curves have one panel each, with a title."""
        return {"augmentation": True, "training": False}.get(self.key, len(self.legend) > 1)

    def svg(self, panel: Plot | LdPlot) -> Markup:
        """Return one panel as an SVG element."""
        return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
            WIDTH, panel.height, panel.description, panel.markup(self.numbers)
        )

    def swatch(self, series: Series) -> Markup:
        """Return the symbol of a series for the legend of the page."""
        wide = 14 if series.kind in ("dots", "rings", "points", "areas") else 26
        return Markup('<svg viewBox="0 0 {w} 12" width="{w}" class="swatch" aria-hidden="true">{sign}</svg>').format(
            w=wide, sign=symbol(series, wide // 2)
        )

    def file(self) -> str:
        """Return the whole figure as one SVG document, on white."""
        return self._document(file_style(), [panel.markup(self.numbers) for panel in self.panels])

    def frame(self) -> Markup:
        """Return that document without its panels and its style, which the script of the page puts in to save it."""
        places = [Markup('<g data-panel="{}"></g>').format(k) for k in range(len(self.panels))]
        return Markup(self._document("", places))

    def _document(self, style: str, drawn: Sequence[Markup]) -> str:
        total = WIDTH * min(len(self.panels), 3)
        keys, top = self._keys(total)
        panels: list[Markup] = []
        for start in range(0, len(self.panels), 3):
            row = self.panels[start : start + 3]
            for column, panel in enumerate(row):
                head = label("name strong", WIDTH / 2, 12, "middle", panel.title)
                place = '<g transform="translate({} {})">{}<g transform="translate(0 14)">{}</g></g>'
                panels.append(Markup(place).format(column * WIDTH, top, head, drawn[start + column]))
            top += 22 + max(p.height for p in row)
        text = Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="img">'
            '<title>{title}</title><desc>{caption}</desc><style>{style}</style><rect width="{w}" height="{h}" '
            'fill="#fff"/><text class="head" x="12" y="24">{title}</text>{keys}{panels}</svg>\n'
        ).format(
            w=total,
            h=top + 4,
            title=self.title,
            caption=self.caption,
            style=Markup(style),
            keys=Markup("").join(keys),
            panels=Markup("").join(panels),
        )
        return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", str(text))  # XML has no such characters

    def _keys(self, total: int) -> tuple[list[Markup], int]:
        """Return the legend of the document, and where the panels begin."""
        y, x = 48, 12
        keys: list[Markup] = []
        key = '<g data-series="{}" transform="translate({:.0f} {})">{}<text class="tick" x="30" y="10">{}</text></g>'
        for number, series in enumerate(self.legend if self.keyed else []):
            wide = 38 + 6.6 * len(series.name)
            if x > 12 and x + wide > total:
                x, y = 12, y + 18
            keys.append(Markup(key).format(number, x, y - 10, symbol(series, 13), series.name))
            x += int(wide)
        return keys, y + 12 if keys else 36

    def save(self, path: str | os.PathLike[str], force: bool = False) -> Path:
        """Write the figure as an SVG file, whole or not at all, and return its path.

        Parameters
        ----------
        path : path
            NAME.svg.
        force : bool
            True to replace an existing file.

        Raises
        ------
        UsageError
            If the file exists and `force` is not given, its folder does not exist, or the name has another ending.
        """
        target = Path(path)
        if target.suffix.lower() != ".svg":
            raise UsageError(
                f"{target} is not an SVG file; accepted: NAME.svg (the report saves PNG, and so does `rsvg-convert`)."
            )
        write_files({target: self.file()}, force)
        return target

    def __repr__(self) -> str:
        panels = counted(len(self.panels), "panel")
        return f"Figure({self.key!r}, {panels}; a notebook shows it, save('{self.key}.svg') writes it)"

    def _repr_svg_(self) -> str:
        return self.file()


def part(name: str) -> str:
    """Return the text of a file of this package."""
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def file_style() -> str:
    """Return the style sheet of the plots in a file of its own, where the colours have no names."""
    style = part("plots.css")
    for name, colour in LIGHT.items():
        style = style.replace(f"var(--{name})", colour)
    return style


def write_files(texts: Mapping[Path, str], force: bool) -> None:
    """Write texts to files, each whole or not at all, and none if one of them exists and `force` is not given."""
    for target in texts:
        check_free(target, force)
        if not target.parent.is_dir():
            raise UsageError(f"The folder {target.parent} does not exist; make it first.")
    for target, text in texts.items():
        write_text(target, text)

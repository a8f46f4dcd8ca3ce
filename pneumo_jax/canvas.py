"""What all figures share, drawn with matplotlib's objects alone: no pyplot, no global state."""

import pathlib
import textwrap
from typing import TYPE_CHECKING

from pneumo_jax import files

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers, less the two palest.
BLUE, RED, GREEN = '#0072B2', '#D55E00', '#009E73'
COLOURS = (BLUE, RED, GREEN, '#CC79A7', '#E69F00', '#56B4E9')


def figure(width: float, height: float, title: str) -> 'Figure':
    """An empty figure, in inches, under a title broken to its width."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout='constrained')
    FigureCanvasAgg(made)
    lines = textwrap.wrap(title, int(width * 9), break_on_hyphens=False)
    made.suptitle('\n'.join(lines), fontsize=12, fontweight='bold')
    return made


def plain(axes: 'Axes') -> None:
    """A pale grid behind the data, and no frame above or to the right."""
    axes.spines[['top', 'right']].set_visible(False)
    axes.grid(color='0.92')
    axes.set_axisbelow(True)


def of_counts(axes: 'Axes') -> None:
    """A logarithmic axis of counts, on which one image is seen too."""
    axes.set_yscale('log')
    axes.set_ylim(0.5, max(axes.get_ylim()[1], 12))
    axes.yaxis.set_minor_formatter('')


def cut(name: str) -> str:
    """A name of 22 letters at most."""
    return _letters(name if len(name) <= 22 else name[:21] + '…')


def save(figure: 'Figure', path: pathlib.Path) -> None:
    """Write a PNG or, where the path ends so, an SVG; whole or not at all, and always the same."""
    from matplotlib import rc_context

    _literally(figure)
    kind, undated = ('svg', {'Date': None}) if path.suffix == '.svg' else ('png', {})
    with files.atomic(path) as temporary, rc_context({'svg.hashsalt': path.stem}):
        figure.savefig(temporary, format=kind, metadata=undated, dpi=150, bbox_inches='tight')


def _literally(figure: 'Figure') -> None:
    """A `$` in a name that a user gave begins no formula; powers of ten are ones."""
    from matplotlib.text import Text

    sides = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    scales = [axis for axis in sides if axis.get_scale() == 'log']
    powers = {text for axis in scales for text in axis.findobj(Text) if text is not axis.label}
    for text in set(figure.findobj(Text)) - powers:
        text.set_parse_math(False)
        text.set_text(_letters(text.get_text()))


def _letters(name: str) -> str:
    """What no letter is, in the name of a file or folder, as a question mark."""
    return name.encode('utf-8', 'replace').decode()

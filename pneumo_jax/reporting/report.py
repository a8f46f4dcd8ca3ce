"""The one call: figures, the page and the card of finished runs."""

import pathlib
from collections.abc import Sequence

from pneumo_jax import files
from pneumo_jax.reporting import card, page, plots, words
from pneumo_jax.reporting.facts import gather_facts

PAGE, CARD, FIGURES = 'report.html', 'README.md', 'figures'


def write(runs: Sequence[pathlib.Path], out: pathlib.Path) -> str:
    """Leave report.html, README.md (the card) and figures/ in `out`; return what they come to.

    Raises:
        UserError: a folder holds no finished run, or its data are missing, or `out` cannot be
            written to.
    """
    facts = gather_facts(runs, out)
    with files.filled(out):
        drawn = plots.draw(facts, out / FIGURES)
        files.write_text(out / CARD, card.render(facts))
        files.write_text(out / PAGE, page.render(facts, drawn))
    return f'{facts.title}\n\n{words.verdict(facts)}\n\n{out / PAGE}\n{out / CARD}, the model card'

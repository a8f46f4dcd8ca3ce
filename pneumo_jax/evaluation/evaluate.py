"""A run's scores on a split, with everything that a user should know before believing them."""

import pathlib
from collections.abc import Sequence

from pneumo_jax import errors, files, trained
from pneumo_jax.evaluation import curves, gather, metrics, sections, tables
from pneumo_jax.evaluation.fitted import ALPHA, SENSITIVITY, fingerprints, fit, read
from pneumo_jax.training import workdir


def evaluate(
    runs: Sequence[pathlib.Path],
    out: pathlib.Path,
    *,
    split: str = 'test',
    path: pathlib.Path | None = None,
    table: pathlib.Path | None = None,
    prevalence: float | None = None,
    alpha: float | None = None,
    sensitivity: float | None = None,
) -> str:
    """Leave evaluation_SPLIT.json and .md, figures and the fit in `out`; return the tables as text.

    Without `alpha` and `sensitivity` they are what was fitted for before in `out` or the first run,
    and else `fitted.ALPHA` and `SENSITIVITY`. What is asked of other data (`path`) does not replace
    what is there.

    Raises:
        UserError: what is asked cannot be done; then nothing is written.
    """
    loaded = trained.load(*runs)
    if prevalence is not None and len(loaded.classes) != 2:
        raise errors.UserError('--prevalence is for runs of two classes.')
    weights = fingerprints(runs)
    kept = {place: read(place, weights) for place in dict.fromkeys((out, runs[0]))}
    earlier = [found for found in kept.values() if found]
    alpha = alpha or (earlier[0].alpha if earlier else ALPHA)
    sensitivity = sensitivity or (earlier[0].sensitivity if earlier else SENSITIVITY)
    asked = (alpha, sensitivity)
    fitted = next((each for each in earlier if (each.alpha, each.sensitivity) == asked), None)
    dataset = None if fitted and path else gather.own_data(loaded)
    if fitted is None:
        assert dataset is not None
        logits = metrics.ensemble(gather.each(loaded, dataset.val.images, 'val'))
        fitted = fit(loaded, dataset, logits, alpha=alpha, sensitivity=sensitivity)
    seen = gather.look(loaded, split, dataset=dataset, path=path, table=table)
    with files.filled(out):
        if path is None:
            for run in runs:
                workdir.record_scoring(run, split)
        found = sections.all_of(loaded, fitted, seen, prevalence)
        if path is None or not kept[out]:
            fitted.save(out)
        of = f'{files.apart(path, runs[0])}_' if path else ''
        name = f'evaluation_{of}{split}'
        found['figures'] = curves.draw(out / 'evaluation', name, found, fitted, seen)
        files.write_text(out / f'{name}.md', tables.markdown(found))
        files.write_json(out / f'{name}.json', found)
    return tables.text(found) + f'\nWith figures: {out / name}.md'

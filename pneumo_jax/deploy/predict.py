"""Image files through a run: a table on the terminal or in a file, and heat maps."""

import pathlib
import warnings
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from pneumo_jax import errors
from pneumo_jax.deploy import heatmaps, predictor, reader, screen, table, walk

FILE_COLUMNS = ('file', 'bytes', 'modified', 'model')


class Outcome(NamedTuple):
    """How many files were predicted, how many had been before, and which cannot be."""

    predicted: int
    skipped: int
    refused: list[tuple[walk.File, errors.UserError]]
    calibrated: bool


class Sink(Protocol):
    """Where rows go."""

    def add(self, rows: Sequence[predictor.Row]) -> None:
        """Take more rows."""


def predict(
    runs: Sequence[pathlib.Path],
    paths: Sequence[pathlib.Path],
    *,
    out: pathlib.Path | None = None,
    batch_size: int | None = None,
    prevalence: float | None = None,
    calibration: pathlib.Path | None = None,
    maps: pathlib.Path | None = None,
) -> Outcome:
    """Predict all images in `paths`.

    With `out` the rows go there, and files that are in it are skipped; without it they are printed.
    With `maps` an overlay of every image goes to that folder. A file that cannot be read stops
    nothing. `batch_size` is that of the run's scoring unless given.

    Raises:
        UserError: the runs, a path, `out` or `maps` cannot be used.
    """
    # What is odd in a file that can be read all the same.
    warnings.filterwarnings('ignore', module='pydicom|PIL')
    files = walk.find(paths)
    if maps:
        heatmaps.check(maps, paths)
    model = predictor.load(runs, prevalence, calibration)
    size = batch_size or model.trained.records[0]['config']['eval_batch_size']
    painter = heatmaps.Painter(model.trained, maps) if maps else None
    if out is None:
        shown = screen.Screen(files, model.trained.classes)
        return _stream(model, files, size, painter, shown)
    wanted = {
        str(file.path): file.key if painter is None or painter.has(file) else None for file in files
    }
    columns = (*FILE_COLUMNS, *model.columns)
    with table.opened(out, columns, model.digest, wanted) as rows:
        todo = [file for file in files if file.key not in rows.done]
        found = _stream(model, todo, size, painter, rows)
    return found._replace(skipped=len(files) - len(todo))


def _stream(
    model: predictor.Predictor,
    files: Sequence[walk.File],
    size: int,
    painter: heatmaps.Painter | None,
    sink: Sink,
) -> Outcome:
    """Every file's row, batch by batch; fewer files than a batch share a smaller one."""
    from tqdm import tqdm

    size = min(size, 1 << max(len(files) - 1, 0).bit_length())
    refused, hidden = [], isinstance(sink, screen.Screen) or None
    with tqdm(desc='images', total=len(files), disable=hidden) as bar:
        for chunk in reader.stream(files, model.preprocess, size):
            bad = [(file, image) for file, image in chunk if isinstance(image, errors.UserError)]
            good = [(file, image) for file, image in chunk if isinstance(image, np.ndarray)]
            refused += bad
            if good:
                sources, images = [file for file, _ in good], np.stack([image for _, image in good])
                rows = model.rows(images, size)
                if painter:
                    painter.paint(sources, images, [row['class'] for row in rows])
                sink.add([_of_file(*pair, model) for pair in zip(sources, rows, strict=True)])
            bar.update(len(chunk))
    return Outcome(len(files) - len(refused), 0, refused, model.fitted is not None)


def _of_file(file: walk.File, row: predictor.Row, model: predictor.Predictor) -> predictor.Row:
    return {**dict(zip(FILE_COLUMNS, (*file.key, model.digest), strict=True)), **row}

"""The rows of `experiments/seed_study` at 224 px.

python -m pneumo_jax sweep experiments/seed_study_224
"""

import dataclasses
import pathlib
import runpy

from pneumo_jax.sweep import Study

SMALL = pathlib.Path(__file__).parent.parent / 'seed_study' / 'study.py'


def get_study() -> Study:
    small: Study = runpy.run_path(str(SMALL))['get_study']()
    rows = {
        name: dataclasses.replace(row, page=row.page.replace(':28', ':224'))
        for name, row in small.rows.items()
    }
    return dataclasses.replace(small, rows=rows)

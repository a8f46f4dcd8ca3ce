"""The rows of `experiments/seed_study` at 224 px, on images rebuilt from the same radiographs.

    python unpack_224.py --size 224 --out data/chest_xray_224.npz
    python -m pneumo_jax sweep experiments/seed_study_224

The plain nets can do without a GPU: on two cores 40 s a seed for `mlp`, 6 minutes for `cnn`, 17 for
`cnn_bn_dropout`.
"""

import dataclasses
import pathlib
import runpy

from pneumo_jax.sweep import Study

SMALL = pathlib.Path(__file__).parent.parent / 'seed_study' / 'study.py'
DATA = {'data.path': 'data/chest_xray_224.npz'}


def get_study() -> Study:
    small: Study = runpy.run_path(str(SMALL))['get_study']()
    rows = {
        name: dataclasses.replace(
            row, page=row.page.replace(':28', ':224'), overrides={**row.overrides, **DATA}
        )
        for name, row in small.rows.items()
    }
    return dataclasses.replace(small, rows=rows, baseline='cnn')

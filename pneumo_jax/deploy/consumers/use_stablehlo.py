"""python use_stablehlo.py IMAGE...: probabilities with jax alone (pip install jax pillow)."""

import json
import pathlib
import sys

from jax import export
from read_images import read

here = pathlib.Path(__file__).parent
model = export.deserialize(bytearray((here / 'model.stablehlo').read_bytes()))
images = read(sys.argv[1:], model.in_avals[0].shape[1:])
print(json.loads((here / 'export.json').read_text())['classes'], model.call(images), sep='\n')

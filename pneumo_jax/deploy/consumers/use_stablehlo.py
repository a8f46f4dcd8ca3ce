"""python use_stablehlo.py IMAGE...: probabilities with jax alone (pip install jax pillow)."""

import json
import pathlib
import sys

import numpy as np
from jax import export
from PIL import Image, ImageOps

here = pathlib.Path(__file__).parent
model = export.deserialize(bytearray((here / 'model.stablehlo').read_bytes()))
_, height, width, channels = model.in_avals[0].shape
mode = 'L' if channels == 1 else 'RGB'
pictures = [
    ImageOps.fit(Image.open(path).convert(mode), (width, height), Image.Resampling.BILINEAR)
    for path in sys.argv[1:]
]
images = np.stack([np.asarray(picture).reshape(height, width, channels) for picture in pictures])
print(json.loads((here / 'export.json').read_text())['classes'], model.call(images), sep='\n')

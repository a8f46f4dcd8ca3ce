"""python use_onnx.py IMAGE...: probabilities with onnxruntime (pip install onnxruntime pillow)."""

import pathlib
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

path = pathlib.Path(__file__).parent / 'model.onnx'
session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
_, height, width, channels = session.get_inputs()[0].shape
mode = 'L' if channels == 1 else 'RGB'
pictures = [
    ImageOps.fit(Image.open(path).convert(mode), (width, height), Image.Resampling.BILINEAR)
    for path in sys.argv[1:]
]
images = np.stack([np.asarray(picture).reshape(height, width, channels) for picture in pictures])
print(session.get_modelmeta().custom_metadata_map['classes'])
print(session.run(['probabilities'], {'images': images})[0])

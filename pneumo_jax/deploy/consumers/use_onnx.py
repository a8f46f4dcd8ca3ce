"""python use_onnx.py IMAGE...: probabilities with onnxruntime (pip install onnxruntime pillow)."""

import pathlib
import sys

import onnxruntime
from read_images import read

path = pathlib.Path(__file__).parent / 'model.onnx'
session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
_, size, _, channels = session.get_inputs()[0].shape
images = read(sys.argv[1:], size, channels)
print(session.get_modelmeta().custom_metadata_map['classes'])
print(session.run(['probabilities'], {'images': images})[0])

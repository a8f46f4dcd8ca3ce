"""python use_onnx.py IMAGE...: probabilities with onnxruntime (pip install onnxruntime pillow)."""

import pathlib
import sys

import onnxruntime
from read_images import read

path = pathlib.Path(__file__).parent / 'model.onnx'
session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
images = read(sys.argv[1:], tuple(session.get_inputs()[0].shape[1:]))
print(session.get_modelmeta().custom_metadata_map['classes'])
print(session.run(['probabilities'], {'images': images})[0])

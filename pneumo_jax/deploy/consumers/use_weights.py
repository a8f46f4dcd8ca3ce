"""python use_weights.py: what the weights are, with safetensors (pip install safetensors numpy)."""

import json
import pathlib

from safetensors import safe_open

for path in sorted(pathlib.Path(__file__).parent.glob('*.safetensors')):
    with safe_open(path, framework='numpy') as file:
        about = {name: json.loads(text) for name, text in file.metadata().items()}
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    print(path.name, about['model'], about['classes'], about['preprocess'])
    for name, weight in weights.items():
        print(f'{name:50} {weight.dtype} {weight.shape}')
    count = sum(w.size for name, w in weights.items() if name.startswith('params/'))
    print(f'{count:,} parameters')

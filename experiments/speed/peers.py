"""The torch side of the comparison: one process, one case, requests on stdin, answers on stdout.

    python experiments/speed/peers.py '{"variant": "torch eager", "model": {"name": "resnet18",
        "dtype": "float32"}, "size": 28, "channels": 1, "classes": 2, "batch": 128, "data": ""}'

The first line is {"ready": {...}} or {"error": ...}. A request {"measure": ..., "seconds": S} is
answered by {"images": N, "seconds": T}: `step`, `forward` and `input` work on batches, `epoch`
counts the training images of whole epochs (with validation in their time) of at most `limit`
images, which a case may carry. {"measure": "memory"} gives the peak so far in bytes.

torch is needed (`requirements.txt`), this project is not.
"""

import importlib
import json
import os
import sys
import traceback
from typing import IO, Any

import numpy as np

Answer = dict[str, Any]
Arrays = dict[str, np.ndarray]

VARIANTS = ('torch eager', 'torch compile', 'torch notebook')
SPLITS = {'train': 4708, 'val': 524}  # the images of PneumoniaMNIST


def main() -> None:
    """Answer until stdin ends."""
    answers = take_stdout()
    # What a case says of compiling is that of the first time, on every run.
    os.environ.setdefault('TORCHINDUCTOR_FORCE_DISABLE_CACHES', '1')
    try:
        case = json.loads(sys.argv[1])
        check(case)
        arrays = load(case)
        # Late: what is refused above is refused in no time, and also where there is no torch.
        side = importlib.import_module('torch_side.measure')
        peer, ready = side.start(case, arrays)
    except Exception as error:
        print(json.dumps(failure(error)), file=answers, flush=True)
        return
    print(json.dumps({'ready': ready}), file=answers, flush=True)
    for line in sys.stdin:
        try:
            answer = side.answer(peer, json.loads(line))
        except Exception as error:
            answer = failure(error)
        print(json.dumps(answer), file=answers, flush=True)


def take_stdout() -> IO[str]:
    """What stdout was; whatever else prints, libraries in C included, prints to stderr now."""
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    return answers


def check(case: dict[str, Any]) -> None:
    """Refuse what torch is not compared on (`ValueError`)."""
    variant, dtype = case['variant'], case['model']['dtype']
    if variant not in VARIANTS:
        raise ValueError(f'unknown variant {variant!r}: {", ".join(VARIANTS)} are there.')
    if dtype not in ('float32', 'bfloat16'):
        raise ValueError(f'unknown dtype {dtype!r}: float32 and bfloat16 are there.')
    for field in ('devices', 'processes', 'seeds'):
        if case.get(field, 1) != 1:
            raise ValueError(f'{variant} has no case with {field}={case[field]}, only with 1.')
    if variant == 'torch notebook' and (dtype, case['channels']) != ('float32', 1):
        raise ValueError(
            f'the notebook trains in float32 on one channel, not {dtype} on {case["channels"]}.'
        )


def load(case: dict[str, Any]) -> Arrays:
    """uint8 '{split}_images' [n h w c] and int64 '{split}_labels' [n] of train and val.

    Raises:
        ValueError: the file has images of another shape, or fewer than a batch.
    """
    arrays = read(case['data']) if case['data'] else draw(case)
    train, shape = arrays['train_images'], (case['size'], case['size'], case['channels'])
    if train.shape[1:] != shape:
        raise ValueError(f'{case["data"]} has images of {train.shape[1:]}, the case of {shape}.')
    part = min(1, case.get('limit', len(train)) / len(train))
    arrays = {name: array[: max(1, round(part * len(array)))] for name, array in arrays.items()}
    if len(arrays['train_images']) < case['batch']:
        raise ValueError(
            f'batch={case["batch"]} is more than the {len(arrays["train_images"])} images there.'
        )
    return arrays


def read(path: str) -> Arrays:
    """The arrays of a MedMNIST file, gray images with their one channel."""
    with np.load(path) as npz:
        images = {f'{split}_images': npz[f'{split}_images'] for split in SPLITS}
        labels = {f'{split}_labels': npz[f'{split}_labels'] for split in SPLITS}
    images = {name: x[..., None] if x.ndim == 3 else x for name, x in images.items()}
    return {**images, **{name: x.reshape(-1).astype(np.int64) for name, x in labels.items()}}


def draw(case: dict[str, Any]) -> Arrays:
    """Noise as large as PneumoniaMNIST, or a seventh of it where the images are large.

    A batch is always there.
    """
    rng = np.random.default_rng(0)
    shape = (case['size'], case['size'], case['channels'])
    arrays = {}
    for split, images in SPLITS.items():
        count = images if case['size'] <= 64 else images * 640 // SPLITS['train']
        count = max(count, case['batch'] if split == 'train' else 1)
        arrays[f'{split}_images'] = rng.integers(0, 256, (count, *shape), np.uint8)
        arrays[f'{split}_labels'] = rng.integers(0, case['classes'], count)
    return arrays


def failure(error: Exception) -> Answer:
    """What went wrong in one line; the traceback goes to stderr."""
    traceback.print_exception(error)
    line = (str(error).strip().splitlines() or [''])[0]
    if isinstance(error, ModuleNotFoundError):
        line += '; pip install -r experiments/speed/requirements.txt'
    kind = '' if isinstance(error, ValueError) else f'{type(error).__name__}: '
    answer: Answer = {'error': kind + line}
    # Of a GPU torch says so by OutOfMemoryError, of the machine's memory by its allocator's name.
    named = isinstance(error, MemoryError) or type(error).__name__ == 'OutOfMemoryError'
    if named or 'DefaultCPUAllocator' in str(error):
        answer['out_of_memory'] = True
    return answer


if __name__ == '__main__':
    main()

"""ImageNet's SqueezeNet 1.1 from Caffe's conventions to ours, for `defect-train --model.weights`.

    python benchmarks/evaluation/squeezenet.py --source squeezenet1_1_imagenet.npz \\
        --out squeezenet.safetensors

The source, under torchvision's names, wants BGR from 0 to 255 less Caffe's means; the result wants
RGB normalised as ImageNet's. The first convolution has no padding: its weights absorb both.
"""

from pathlib import Path

import numpy as np
import torch
from jsonargparse import auto_cli
from safetensors.torch import save_file

FIRST = "features.0"
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
CAFFE_MEAN = torch.tensor([123.68, 116.779, 103.939])


def main(source: Path, out: Path) -> None:
    """Write the weights.

    Args:
        source: an .npz of arrays under torchvision's names.
        out: the .safetensors file.
    """
    with np.load(source) as arrays:
        state = {name: torch.from_numpy(np.asarray(values)) for name, values in arrays.items()}
    weight = state[f"{FIRST}.weight"].double().flip(1)
    shift = (255 * MEAN - CAFFE_MEAN).double().view(1, 3, 1, 1)
    state[f"{FIRST}.bias"] = state[f"{FIRST}.bias"].double() + (weight * shift).sum(dim=(1, 2, 3))
    state[f"{FIRST}.weight"] = weight * (255 * STD).double().view(1, 3, 1, 1)
    save_file({name: values.float().contiguous() for name, values in state.items()}, out)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)

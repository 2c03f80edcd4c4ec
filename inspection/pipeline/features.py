"""What a patch looks like to the network: by this, similar indications are found."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from inspection.pipeline.classifier import Classifier
from sise.blocks import Layer, find_blocks
from sise.capture import feature_maps, in_eval_mode
from sise.precision import forward_in

Features = npt.NDArray[np.float16]
MakeFeatures = Callable[[torch.Tensor], Features]


def make_features(classifier: Classifier, batch_size: int) -> MakeFeatures:
    """The features of patches: of images (B, 3, H, W) as the model takes them (B, N) float16.

    They are the feature maps of the last block, each averaged over the patch, together of length 1,
    or 0 where none responds. Computed in float32 by PyTorch, whatever scores masked images; on a
    processor one by one, so that they do not depend on what else is explained.
    """
    model, device = classifier.bundle.model, classifier.device
    forward = forward_in(model, torch.float32)
    at_once = 1 if device.type == "cpu" else max(1, batch_size)
    found: list[Layer] = []

    def features(images: torch.Tensor) -> Features:
        with in_eval_mode(model):
            if not found:
                found.append(find_blocks(model, (images.shape[2], images.shape[3]))[-1])
            shares = [images[start : start + at_once] for start in range(0, len(images), at_once)]
            maps = (feature_maps(forward, found, share)[0] for share in shares)
            means = torch.cat([one.mean(dim=(2, 3)) for one in maps])
        return of_length_one(means.cpu().numpy()).astype(np.float16)

    return features


def of_length_one(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Vectors (B, N), each divided by its length; what has none stays 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)

"""Train a torchvision CNN on NEU-DET and write it as a model bundle.

    python benchmarks/neu_det/train.py --data $STEEL_DATA/neu_det --out /tmp/neu50

From scratch: 128 px crops of random size in bfloat16, tested at 160 px, which shows the defects at
the size they had in the crops. The names of the held-out test split, by
`data.split`, go beside the bundle's files: `held_out.txt`.
"""

import math
import time
from pathlib import Path

import numpy as np
import torch
from data import CLASSES, MEAN, STD, images, read_samples, split
from jsonargparse import auto_cli
from torch import nn

from sise.architectures import build_network
from sise.bundle import ModelCard, save
from sise.precision import forward_in, has_bfloat16


def main(
    data: Path,
    out: Path,
    architecture: str = "resnet50",
    epochs: int = 24,
    batch_size: int = 32,
    lr: float = 1e-3,
    crop: int = 128,
    size: int = 160,
    seed: int = 0,
) -> None:
    """Train and save.

    Args:
        data: folder of NEU-DET.
        out: folder of the bundle.
        architecture: torchvision's name of the network.
        epochs: passes over the training split.
        batch_size: crops per step.
        lr: AdamW's peak learning rate.
        crop: side of the training crops, px.
        size: side of the images in validation, test and use, px.
        seed: of weights, order and crops.
    """
    torch.manual_seed(seed)
    parts = split(read_samples(data))
    print({name: len(part) for name, part in parts.items()}, flush=True)
    train = images(parts["train"], 200)
    labels = torch.tensor([sample.label for sample in parts["train"]])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build_network(architecture, len(CLASSES)).to(
        device, memory_format=torch.channels_last
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=0.05)
    steps = epochs * (len(train) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.2)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    generator = torch.Generator().manual_seed(seed)
    reduced = has_bfloat16(device)
    for epoch in range(epochs):
        start, losses = time.perf_counter(), []
        network.train()
        order = torch.randperm(len(train), generator=generator)
        for chosen in order.split(batch_size):
            if len(chosen) < batch_size:
                continue
            batch = _crops(train[chosen], crop, generator).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=reduced):
                loss = loss_of(network(batch), labels[chosen].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        line = f"epoch {epoch + 1}/{epochs} loss {np.mean(losses):.3f}"
        if epoch % 4 == 3 or epoch == epochs - 1:
            line += f" val {_accuracy(network.eval(), parts['val'], size, device):.3f}"
        print(f"{line} {time.perf_counter() - start:.0f} s", flush=True)
    test = _accuracy(network.eval(), parts["test"], size, device)
    card = ModelCard(
        architecture=architecture,
        classes=CLASSES,
        input_size=(size, size),
        mean=MEAN,
        std=STD,
        dataset={"name": "NEU-DET", "split": "grouped", "seed": seed},
        metrics={"test": {"top1": test, "images": len(parts["test"])}},
    )
    bundle = save(out, card, network)
    names = "".join(f"{sample.name}\n" for sample in parts["test"])
    (out / "held_out.txt").write_text(f"# test split of NEU-DET, seed {seed}\n{names}", "utf-8")
    print(f"test top-1 {test:.4f} of {len(parts['test'])}; bundle {out} {bundle.sha256[:12]}")


def _crops(batch: torch.Tensor, crop: int, generator: torch.Generator) -> torch.Tensor:
    """Random resized crops, flips and quarter turns, with a little contrast and brightness."""
    count, _, height, _ = batch.shape
    out = []
    numbers = torch.rand((count, 7), generator=generator).tolist()
    for image, (scale, x, y, flip, turn, gain, shift) in zip(batch, numbers, strict=True):
        side = round(height * math.sqrt(0.4 + 0.6 * scale))
        left, top = int(x * (height - side + 1)), int(y * (height - side + 1))
        part = image[None, :1, top : top + side, left : left + side]
        part = nn.functional.interpolate(part, (crop, crop), mode="bilinear", antialias=True)
        part = part.flip(3) if flip < 0.5 else part
        part = torch.rot90(part, int(turn * 4), (2, 3))
        out.append(part * (0.8 + 0.4 * gain) + 0.6 * (shift - 0.5))
    stacked = torch.cat(out).expand(-1, 3, -1, -1)
    return stacked.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def _accuracy(network: nn.Module, samples: list, size: int, device: torch.device) -> float:  # type: ignore[type-arg]
    forward = forward_in(network, torch.float32)
    right = 0
    for start in range(0, len(samples), 32):
        part = samples[start : start + 32]
        predicted = forward(images(part, size).to(device)).argmax(1).cpu()
        right += int((predicted == torch.tensor([s.label for s in part])).sum())
    return right / len(samples)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)

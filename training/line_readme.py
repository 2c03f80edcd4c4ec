"""The README.md of a line model: how to call it, and what was found of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from sise.model_card import code, escaped

CALLS = {
    "onnx": (
        """\
session = onnxruntime.InferenceSession("{file}", providers=["CPUExecutionProvider"])
probabilities = session.run(["probabilities"], {{"images": images}})[0]""",
        "onnxruntime",
        """\
In C++: an `Ort::Session` of the file; `Run` with one input `images`, an `Ort::Value` of
`uint8_t` and shape {{B, {height}, {width}, 3}}, and one output `probabilities`, of `float` and
shape {{B, {classes}}}.""",
    ),
    "openvino": (
        """\
precision = {{"INFERENCE_PRECISION_HINT": "f32"}}
model = openvino.Core().compile_model("{file}", "CPU", precision)
probabilities = model({{"images": images}})["probabilities"]""",
        "openvino",
        """\
Without the hint, OpenVINO computes in bfloat16 where the processor has it: faster, and not what
was checked below. In C++: `ov::Core().compile_model("{file}", "CPU", hint)`, and an infer request
whose input `images` is an `ov::Tensor` of `ov::element::u8` and shape {{B, {height}, {width}, 3}};
the output `probabilities` is `f32` of shape {{B, {classes}}}. `.bin`: its weights.""",
    ),
}

TEXT = """\
# A steel classifier as one file

`{file}` takes images as they are read and gives calibrated probabilities: normalisation,
temperature and softmax are inside. It needs neither PyTorch nor steel-sise.

| | name | type | shape | values |
| --- | --- | --- | --- | --- |
| in | `images` | uint8 | batch, {height}, {width}, 3 | RGB, 0 to 255 |
| out | `probabilities` | float32 | batch, {classes} | 0 to 1, in the order of the classes below |

Any number of images may come at once. A grey image has three equal channels. Images are cut to this
size, never resized. An image is flagged if a class reaches its threshold.

## How to call it

`pip install {library} numpy pillow`, and in this folder `python classify.py IMAGE ...` with

```python
import json
import sys

import numpy as np
import {library}
from PIL import Image

with open("export.json", encoding="utf-8") as stream:
    card = json.load(stream)
images = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in sys.argv[1:]])

{call}

limits = np.array([card["thresholds"].get(name, np.inf) for name in card["classes"]], np.float32)
for row in probabilities:
    flagged = bool((row >= limits).any())
    print(json.dumps([card["classes"][row.argmax()], flagged, row.tolist()]))
```

{elsewhere}

## Classes

{table}
## What was checked

{checked}
`export.json` has all of this for programs, with the SHA-256 of each file and the versions that
made them.
"""


def readme(card: Mapping[str, Any]) -> str:
    """README.md, from the content of export.json. Names may be anything: they are escaped."""
    call, library, elsewhere = CALLS[card["kind"]]
    height, width = card["input"]["shape"][1:3]
    facts = {
        "file": card["file"],
        "height": height,
        "width": width,
        "classes": len(card["classes"]),
    }
    return TEXT.format(
        **facts,
        library=library,
        call=call.format(**facts),
        elsewhere=elsewhere.format(**facts),
        table=_classes(card),
        checked="".join(f"- {line}\n" for line in _checked(card)),
    )


def _classes(card: Mapping[str, Any]) -> str:
    lines = ["| | class | flagged from |", "| --- | --- | --- |"]
    for number, name in enumerate(card["classes"]):
        limit = card["thresholds"].get(name)
        lines.append(f"| {number} | {escaped(name)} | {'–' if limit is None else f'{limit:g}'} |")
    return "\n".join(lines) + "\n"


def _checked(card: Mapping[str, Any]) -> Iterator[str]:
    source, check = card["source"], card["check"]
    yield (
        f"Made of the model bundle with the SHA-256 `{source['bundle_sha256']}` "
        f"({code(source['architecture'])}, temperature {source['temperature']:.4g})."
    )
    yield (
        f"`{card['file']}` against PyTorch in float32, on {check['images']} {check['on']}: "
        f"probabilities differ by {check['largest_difference']:.1g} at most "
        f"({check['tolerance']:g} is allowed); {_others(check)}."
    )
    int8 = card.get("int8")
    if int8 is not None:
        before, after = int8["before"], int8["after"]
        yield (
            f"`{int8['file']}` computes in int8, and is called in the same way. It was calibrated "
            f"on {int8['calibrated_on']} training crops. What that costs on {int8['images']} "
            f"validation crops: top-1 {before['top1']:.3f} before, {after['top1']:.3f} after; "
            f"macro recall {before['macro_recall']:.3f} and {after['macro_recall']:.3f}; "
            f"probabilities differ by {int8['largest_difference']:.2g} at most; {_others(int8)}."
        )


def _others(found: Mapping[str, Any]) -> str:
    other = found["other_decisions"]
    return "no other decision" if not other else f"{other} other decision{'s' * (other > 1)}"

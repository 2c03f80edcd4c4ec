"""The files that a line model is written to, and how each is run without PyTorch."""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from sise.backends import import_openvino
from training.errors import TrainingError
from training.line_model import Answer, Images, LineModel, Probabilities

Kind = Literal["onnx", "openvino"]
Size = tuple[int, int]

INPUT, OUTPUT = "images", "probabilities"
FULL = {"INFERENCE_PRECISION_HINT": "f32"}
"""Else OpenVINO computes in bfloat16 where the processor has it."""


@dataclass(frozen=True)
class LineFormat:
    """One kind of file.

    `file` and `int8_file` are its names, each with the files `beside` it (by suffix); `libraries`
    what writing it needs, of the extra `extra`, and int8 `int8_libraries` of `int8_extra`.
    `write` takes a model and the size (H, W) of its images, `load` gives what a file answers in
    float32, `quantise` writes a file again in int8, calibrated on images (N, H, W, 3).
    """

    file: str
    int8_file: str
    beside: tuple[str, ...]
    libraries: tuple[str, ...]
    extra: str
    int8_libraries: tuple[str, ...]
    int8_extra: str
    write: Callable[[LineModel, Size, Path], None]
    load: Callable[[Path], Answer]
    quantise: Callable[[Path, Path, Images], None]

    def files(self, int8: bool) -> tuple[str, ...]:
        """The names of all files, with those in int8 too."""
        main = (self.file, self.int8_file) if int8 else (self.file,)
        return tuple(
            str(Path(name).with_suffix(suffix))
            for name in main
            for suffix in (Path(name).suffix, *self.beside)
        )

    def check_installed(self, int8: bool) -> None:
        """Raise TrainingError, with the cure, for a library that is missing."""
        asked = [(self.libraries, self.extra)]
        asked += [(self.int8_libraries, self.int8_extra)] if int8 else []
        for libraries, extra in asked:
            missing = [name for name in libraries if not find_spec(name)]
            if missing:
                raise TrainingError(
                    f"{'--int8' if extra != self.extra else f'--format {self.extra}'} needs "
                    f'{", ".join(missing)}: pip install "steel-sise[{extra}]"'
                )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what exporters print of themselves; their errors are raised."""
    before = logging.root.manager.disable
    with (
        Path(os.devnull).open("w") as nowhere,
        redirect_stdout(nowhere),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(before)


def _example(size: Size) -> torch.Tensor:
    # Of one image an exporter would take the batch for constant.
    return torch.zeros(2, *size, 3, dtype=torch.uint8)


def _write_onnx(model: LineModel, size: Size, file: Path) -> None:
    import onnx

    with _quiet():
        program: Any = torch.onnx.export(
            model,
            (_example(size),),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            verbose=False,
        )
        for node in program.model.graph:
            node.metadata_props.clear()  # where in whose files each operation was called
        program.save(file, external_data=False)
        onnx.checker.check_model(file)


def _load_onnx(file: Path) -> Answer:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def answer(images: Images) -> Probabilities:
        found: Probabilities = session.run([OUTPUT], {INPUT: images})[0]
        return found

    return answer


def _quantise_onnx(file: Path, out: Path, images: Images) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class OneByOne(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.images = iter(images)

        def get_next(self) -> dict[str, Images] | None:
            image = next(self.images, None)
            return None if image is None else {INPUT: image[None]}

    with _quiet():
        quantize_static(file, out, OneByOne(), quant_format=QuantFormat.QDQ, per_channel=True)


def _write_openvino(model: LineModel, size: Size, file: Path) -> None:
    openvino = import_openvino()
    with _quiet():
        traced: Any = torch.jit.trace(  # type: ignore[no-untyped-call]
            model, _example(size), check_trace=False, strict=False
        )
        converted = openvino.convert_model(traced, input=[([-1, *size, 3], np.uint8)])
        # Its converter loses the name of an input that is cut first, as for one channel.
        converted.inputs[0].get_tensor().set_names({INPUT})
        converted.outputs[0].get_tensor().set_names({OUTPUT})
        openvino.save_model(converted, file, compress_to_fp16=False)


def _load_openvino(file: Path) -> Answer:
    compiled = import_openvino().Core().compile_model(file, "CPU", FULL)

    def answer(images: Images) -> Probabilities:
        found: Probabilities = compiled({INPUT: images})[OUTPUT].copy()
        return found

    return answer


def _quantise_openvino(file: Path, out: Path, images: Images) -> None:
    openvino = import_openvino()
    with _quiet():
        import nncf

        quantised = nncf.quantize(
            openvino.Core().read_model(file),
            nncf.Dataset([image[None] for image in images]),
            subset_size=len(images),
        )
        openvino.save_model(quantised, out, compress_to_fp16=False)


FORMATS: Mapping[Kind, LineFormat] = {
    "onnx": LineFormat(
        file="model.onnx",
        int8_file="model-int8.onnx",
        beside=(),
        libraries=("onnx", "onnxruntime", "onnxscript"),
        extra="onnx",
        int8_libraries=(),
        int8_extra="onnx",
        write=_write_onnx,
        load=_load_onnx,
        quantise=_quantise_onnx,
    ),
    "openvino": LineFormat(
        file="model.xml",
        int8_file="model-int8.xml",
        beside=(".bin",),
        libraries=("openvino",),
        extra="openvino",
        int8_libraries=("nncf",),
        int8_extra="int8",
        write=_write_openvino,
        load=_load_openvino,
        quantise=_quantise_openvino,
    ),
}


def all_files() -> Sequence[str]:
    """The names of all files of all kinds."""
    return [name for one in FORMATS.values() for name in one.files(int8=True)]

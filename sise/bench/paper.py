"""What the paper says that explanations cost, on its machine."""

from collections.abc import Mapping
from types import MappingProxyType

from sise.registry import MethodSpec

_SECONDS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "vgg16": {
            "gradcam": 0.006,
            "gradcam++": 0.006,
            "extremal-perturbation": 87.42,
            "rise": 64.28,
            "scorecam": 5.90,
            "integrated-gradients": 0.68,
            "fullgrad": 18.69,
            "sise": 5.90,
        },
        "resnet50": {
            "gradcam": 0.019,
            "gradcam++": 0.020,
            "extremal-perturbation": 78.37,
            "rise": 26.08,
            "scorecam": 18.17,
            "integrated-gradients": 0.52,
            "fullgrad": 34.03,
            "sise": 9.21,
        },
    }
)


def seconds_in_paper(architecture: str, spec: MethodSpec) -> float | None:
    """Seconds per image on a Tesla T4, table 7; None where the table has none.

    It has the methods without options. How many masks its RISE has, the table does not say.
    """
    return None if spec.options else _SECONDS.get(architecture, {}).get(spec.method)

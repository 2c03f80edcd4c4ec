"""SISE: explain a CNN's prediction by semantic input sampling (AAAI-21).

>>> from sise import SISE
>>> explanation = SISE(model)(images)

The names that `__init__.pyi` lists are imported on first use: `--help` must not wait for PyTorch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

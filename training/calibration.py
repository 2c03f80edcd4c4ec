"""Making a softmax mean what it says: temperature scaling and its measure."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

ECE_BINS = 15
LARGEST_TEMPERATURE = 10.0

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def negative_log_likelihood(logits: Floats, labels: Labels, temperature: float) -> float:
    """Mean −log p of the true class, for logits (N, C) divided by the temperature."""
    log_probabilities = log_softmax(logits / temperature, axis=1)
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())


def fit_temperature(logits: Floats, labels: Labels) -> float:
    """The temperature in [0.1, 10] of least negative log-likelihood (Guo et al., ICML 2017).

    `logits` is (N, C), `labels` (N,). If every crop is classified rightly, the likelihood only
    grows as the temperature falls and tells nothing of confidence: then it is 1.
    """
    if bool((logits.argmax(axis=1) == labels).all()):
        return 1.0
    bound = float(np.log(LARGEST_TEMPERATURE))
    optimum = minimize_scalar(
        lambda log_t: negative_log_likelihood(logits, labels, float(np.exp(log_t))),
        bounds=(-bound, bound),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(optimum.x))


def expected_calibration_error(
    probabilities: Floats, labels: Labels, bins: int = ECE_BINS
) -> float:
    """Gap between confidence and accuracy in [0, 1], 0 is best (Guo et al., equation 3).

    `probabilities` is (N, C). Crops are binned by the probability of their predicted class,
    as by `bins_of`; the gaps are weighted by crops.
    """
    correct = probabilities.argmax(axis=1) == labels
    return calibration_error(probabilities.max(axis=1), correct, bins)


def calibration_error(
    confidence: Floats, correct: npt.NDArray[np.bool_], bins: int = ECE_BINS
) -> float:
    """The same, of confidences (N,) and whether each was right; N is at least 1."""
    gaps = np.bincount(bins_of(confidence, bins), weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def bins_of(confidence: Floats, bins: int) -> npt.NDArray[np.int64]:
    """The bin, from 0, of each confidence: equal intervals that include their upper end."""
    edges = np.linspace(0, 1, bins + 1)
    return np.clip(np.digitize(confidence, edges, right=True) - 1, 0, bins - 1)

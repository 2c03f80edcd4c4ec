"""Whether there is a map, in words: for readers of results, who need no network."""

OK = "ok"
NO_POSITIVE_GRADIENT = "no positive gradient"
CONSTANT_MAP = "constant map"
NOT_FINITE = "not finite"
NO_TRUTH = "no ground truth"
"""Of the ground truth, taken as a map."""

"""From a recast dataset to a model bundle: `defect-train fit, test, export`."""

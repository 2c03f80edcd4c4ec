"""The paper's own results on the recast Severstal dataset, to stand beside ours.

Sattarzadeh et al., Explaining Convolutional Neural Networks through Attribution-Based Input
Sampling and Block-Wise Feature Aggregation, AAAI-21, appendix: tables 3 and 5.
"""

from collections.abc import Sequence

from severstal_prep.dataset import CLASS_NAMES
from severstal_prep.reference import PAPER_CROPS

TOP1 = 0.8658
TOP3 = 0.9960

CONFUSION = (
    (0.89, 0.011, 0.0056, 0.077, 0.012),
    (0.27, 0.59, 0.02, 0.12, 0.0025),
    (0.095, 0.032, 0.71, 0.16, 0.0),
    (0.12, 0.014, 0.004, 0.85, 0.0086),
    (0.15, 0.0072, 0.0024, 0.16, 0.67),
)
"""Table 5: rows are the true classes 0 to 4, columns the predicted ones, rows sum to 1.

With table 3's test crops it implies a top-1 of 0.858 ± 0.005, a little less than the text's
0.8658.
"""

RECALL = tuple(row[class_id] for class_id, row in enumerate(CONFUSION))
MACRO_RECALL = sum(RECALL) / len(RECALL)

DEFECT_CROPS = PAPER_CROPS[1:]
"""Table 3: crops of classes 1 to 4, train and test together."""


def is_papers_data(classes: Sequence[str], crops_per_class: Sequence[int]) -> bool:
    """Whether a dataset has the paper's defect crops: then it was recast from all of Severstal.

    The numbers of crops identify it; the normal ones depend on what counts as black, and are
    not compared.
    """
    return tuple(classes) == CLASS_NAMES and tuple(crops_per_class[1:]) == DEFECT_CROPS

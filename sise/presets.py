"""How steel is explained where a person waits for the map: chosen once, for all commands.

Unlike the library's own defaults, which are the paper's. All but the budget were measured, and
chosen by a stated rule, in docs/steel.md.
"""

from sise.choices import Continuation, Evidence, FillName, Fusion

MU = 0.0
BUDGET = 98  # two passes for the feature maps, and six batches of 16 masks
FILL: FillName = "mean"
CONTEXT: Continuation | None = "reflect"
EVIDENCE: Evidence = "removed"
FUSION: Fusion = "geometric"

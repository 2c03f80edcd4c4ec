"""What options of an explanation take, by name; here, so that a command line knows it at once."""

from typing import Literal

FillName = Literal["grey", "mean", "blur", "inpaint"]
Continuation = Literal["reflect", "edge"]
Evidence = Literal["kept", "removed", "both", "none"]
Fusion = Literal["hard", "soft", "geometric"]

"""Sample strips with known defects, in Kaggle's own layout.

`write` puts a sample on disk; `plan` says which classes a strip gets; `strip` lays the marks
of `defects` on clean `steel` and knows exactly where they show; `noise` makes them all.
"""

from severstal_prep.sample.strip import Strip, make_strip
from severstal_prep.sample.write import SampleError, SamplePart, SampleSummary, write_sample

__all__ = ["SampleError", "SamplePart", "SampleSummary", "Strip", "make_strip", "write_sample"]

"""Severstal strips and run-length labels, recast as a dataset of 256 x 256 crops."""

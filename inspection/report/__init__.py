"""The report: a typed `BatchReport`, and the page rendered from it."""

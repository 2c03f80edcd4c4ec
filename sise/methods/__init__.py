"""The other methods of the paper, behind the same contract as SISE."""

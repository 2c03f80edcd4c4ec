"""How good a batch's indications are: against the truth, each other, and earlier batches."""

"""Whether a method's maps depend on what the model has learnt: `sise sanity`."""

"""From a batch of strips to what a report shows: the stages, and the engines they run in."""

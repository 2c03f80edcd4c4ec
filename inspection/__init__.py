"""A batch of steel strips, inspected and explained: predictions, maps and a report on disk."""

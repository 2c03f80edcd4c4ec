"""Watching a line: strips are inspected as they are written, day by day."""

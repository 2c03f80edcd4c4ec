"""The review in a browser: batches, reports, decisions, trends."""

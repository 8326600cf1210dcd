"""A corpus of releases, as code: those that nobody should publish, and those that everybody should be able to."""

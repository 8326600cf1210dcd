"""From a file of examples to trained weights."""

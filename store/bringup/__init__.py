"""From a bare machine to a charged token: starts the parts of a store in order, watches over them, makes the first call."""

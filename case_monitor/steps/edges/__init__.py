"""Steps that touch the outside world. Each is retried, but only where trying again can help."""

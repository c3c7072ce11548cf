"""From nothing to a gateway that answers: first configs, examples, what is missing."""

"""The config's tables as the operator writes them, each with what can be wrong with it."""

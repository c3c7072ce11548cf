"""The live gateway: wiring, the driver of a plan, keys, settings."""

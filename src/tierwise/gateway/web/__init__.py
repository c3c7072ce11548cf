"""HTTP under the gateway: bodies, limits, streams to slow readers, what every path shares."""

"""Pure statistics: frontiers, intervals, bounds, certificates. Randomness comes in as a numpy Generator."""

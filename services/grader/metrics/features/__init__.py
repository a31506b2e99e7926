"""Metrics over the features of injected networks: distances of sets, cosines, verdicts."""

"""Metrics of a generated picture or video against the true one, pixel by pixel."""

"""Metrics of numbers and series of numbers."""

"""Metrics of generated speech and music."""

"""Metrics of how the objects of a picture relate."""

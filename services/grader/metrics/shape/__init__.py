"""Metrics of generated 3D shapes."""

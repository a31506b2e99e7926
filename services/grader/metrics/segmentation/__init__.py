"""Metrics of which pixels, frames or points belong to what."""

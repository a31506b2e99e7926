"""Metrics of objects that are followed through a video or a scene."""

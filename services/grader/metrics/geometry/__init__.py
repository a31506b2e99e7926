"""Metrics of measured quantities: depth, flow, normals, camera paths."""

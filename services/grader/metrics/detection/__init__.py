"""Metrics of found objects: boxes, masks, key points, boxes in space, point instances."""

"""Metrics of graded maps over a picture: mattes, anomaly maps, foreground maps."""

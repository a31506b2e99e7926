"""Faults under load: what breaks, how long that is felt, and that nothing is lost or done twice."""

"""Metrics of generated videos over time: consistency, motion, success of the prompt."""

"""Metrics of text-like answers: labels, label sets, sentences, code, rankings."""

"""The networks that metrics are defined over, as plain functions of media; and one formula.

One module per architecture. Networks that a library holds come from transformers, always from a
local folder; the others are written here after the published architecture, with the published
names of their tensors. Torch stays here and in ``services.grader.device``.
"""

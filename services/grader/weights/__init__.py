"""Which networks the metrics need, and the operator's folder that holds their weights.

Nothing here reads a tensor: the manifest says what a folder must hold, the folder is checked by
SHA-256 at start, and ``services.grader.models`` opens what was checked.
"""

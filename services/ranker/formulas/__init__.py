"""The General-Level formulas as pure functions over numpy arrays.

Axes, throughout: an input is ``[models, tasks]``, a result ``[boards, models]``. Scores are on
[0, 100]. Nothing here reads a file, a clock or a database; the same input gives the same output,
bit for bit, whatever other models are computed beside it.

    mapping      raw metric value -> score in [0, 100]; whether a reference is reached
    conventions  what a printed zero, an infinity and an unsupported task mean
    uncertainty  moments of one score, and of a score kept only where it reaches the reference
    estimates    averages, harmonic means and products of uncertain scores
    boards       which tasks are summed for which board
    levels       S2 to S5, levels, intervals and counts of every board at once
    ranking      order, shared ranks, neighbours that cannot be told apart

Source of the formulas: "On Path to Multimodal Generalist: General-Level and General-Bench",
arXiv 2505.04620 (ICML 2025), section 3 and its appendix on score mapping.
"""

"""The sample benchmark: a small, real one in the benchmark's own layout, with baselines.

    python -m samples build --out DIR
    python -m samples predict --baseline linear --inputs A-full.zip --out FOLDER
    python -m samples rate --archive "Linear-A-full.zip" --out ratings.json
    python -m samples references

It has a catalogue of its own (``general_level.catalogue.load(name="sample")``), so that no task of
General-Bench is filled with data that is not its own.
"""

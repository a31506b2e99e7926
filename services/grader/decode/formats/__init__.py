"""One module for each family of file formats: bytes of one file in, arrays out.

A reader raises :class:`Unusable` for what it finds wrong, and may raise anything else that the
libraries under it raise; :func:`guarded` makes a finding of that too.
"""

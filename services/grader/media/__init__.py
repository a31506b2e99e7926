"""From decoded answers and an opened key to the columns of a media metric.

``binding`` says what a binding is, ``table`` lists one for each media metric of the catalogue,
``key_reader`` reads what a key holds. Everything here runs in the scorer, on data that a box has
decoded and this side has checked, and on the operator's own keys.
"""

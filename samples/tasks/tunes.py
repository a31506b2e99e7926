"""Old songs, in the public domain, as degrees of the scale; octaves and lengths are left out."""

from __future__ import annotations

from samples.example import Split

TUNES = {
    Split.TRAIN: {
        "Twinkle, Twinkle": (
            "do do sol sol la la sol fa fa mi mi re re do sol sol fa fa mi mi re "
            "sol sol fa fa mi mi re do do sol sol la la sol fa fa mi mi re re do"
        ),
        "Frère Jacques": (
            "do re mi do do re mi do mi fa sol mi fa sol sol la sol fa mi do sol la sol fa mi do "
            "do sol do do sol do"
        ),
        "Mary Had a Little Lamb": (
            "mi re do re mi mi mi re re re mi sol sol mi re do re mi mi mi mi re re mi re do"
        ),
        "London Bridge": (
            "sol la sol fa mi fa sol re mi fa mi fa sol sol la sol fa mi fa sol re sol mi do"
        ),
        "Hot Cross Buns": "mi re do mi re do do do do do re re re re mi re do",
        "Jingle Bells": (
            "mi mi mi mi mi mi mi sol do re mi fa fa fa fa fa mi mi mi mi re re mi re sol "
            "mi mi mi mi mi mi mi sol do re mi fa fa fa fa fa mi mi mi sol sol fa re do"
        ),
        "Au clair de la lune": (
            "do do do re mi re do mi re re do do do do re mi re do mi re re do "
            "re re re re la la re do ti la sol do do do re mi re do mi re re do"
        ),
        "When the Saints": (
            "do mi fa sol do mi fa sol do mi fa sol mi do mi re mi mi re do do mi sol sol fa "
            "mi fa sol mi do re do"
        ),
    },
    Split.TEST: {
        "Ode to Joy": (
            "mi mi fa sol sol fa mi re do do re mi mi re re mi mi fa sol sol fa mi re do do re mi "
            "re do do"
        ),
        "Row Your Boat": (
            "do do do re mi mi re mi fa sol do do do sol sol sol mi mi mi do do do sol fa mi re do"
        ),
        "Lightly Row": (
            "sol mi mi fa re re do re mi fa sol sol sol sol mi mi fa re re do mi sol sol do"
        ),
        "Go Tell Aunt Rhody": "mi mi re do do re re fa mi re do sol sol fa mi mi mi re do re mi do",
    },
}

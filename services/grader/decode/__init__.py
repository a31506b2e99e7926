"""The decode box: the only place where bytes of a lab are parsed, and the arrays that leave it."""

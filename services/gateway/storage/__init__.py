"""Rows: the tables, the engine and the migrations. SQL that only one database can do is here."""

"""The whole platform on one machine: one grader per modality, over SQLite and a folder."""

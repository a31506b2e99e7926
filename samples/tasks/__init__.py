"""The makers of the sample benchmark's examples, one module for each modality."""

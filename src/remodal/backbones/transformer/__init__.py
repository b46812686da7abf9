"""Transformers of the ``transformers`` library, with prompts in their layers."""

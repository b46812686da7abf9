"""The embedded backbone: a small CNN and MiniLM, whose outputs prompts act on."""

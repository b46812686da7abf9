"""The loop over a stream: prepare, learn, evaluate, score, and lose nothing on the way."""

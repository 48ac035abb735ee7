"""The instrument tried: simulated studies and planted worlds whose answer is known, judged by the published rule."""

"""The frozen language model: prompts tuned, neurons read, neurons silenced. Where PyTorch is."""

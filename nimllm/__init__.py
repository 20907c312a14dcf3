"""nimllm: a local coding agent whose language model you own."""

__version__ = "0.1.0"

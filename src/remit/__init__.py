"""remit: AI agents call your company's APIs as the person they work for."""

__version__ = "0.1.0"

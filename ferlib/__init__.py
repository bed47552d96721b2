"""The machinery of the facial-expression book."""

__version__ = "0.1.0"

"""costlab: what one AI-generated video clip really costs, and where it should run."""

__version__ = "0.1.0"

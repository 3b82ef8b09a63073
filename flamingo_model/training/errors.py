"""The one error of this package that is not a mistake in a configuration."""


class TrainingError(ValueError):
    """A run that cannot begin or go on; the message says why and what is still whole."""

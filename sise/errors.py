"""What can go wrong with a model, a bundle or an image, each with the cure in its message."""


class SiseError(Exception):
    """Base of the errors that a user can cure; the command line prints it as one line."""

    exit_code = 2


class BundleError(SiseError):
    """A model bundle that is missing, damaged or not what its card says."""


class LayerError(SiseError):
    """Layers that cannot be found or explained on this model."""


class ImageError(SiseError):
    """An image file that cannot be read."""


class DatasetError(SiseError):
    """A labelled dataset that is missing, damaged or does not fit the model."""


class OutputError(SiseError):
    """A place for results that holds what others wrote, or that is read."""

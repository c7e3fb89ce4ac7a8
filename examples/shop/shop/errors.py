"""Errors of the shop."""


class ShopError(Exception):
    """A request that the shop itself refuses. `status` is the HTTP status of the answer."""

    status = 500


class NotFound(ShopError):
    status = 404


class BadRequest(ShopError):
    status = 400


class Forbidden(ShopError):
    status = 403


class OutOfStock(ShopError):
    """There is too little of a product."""

    status = 409

    # The arguments are those of __init__: errors are passed between processes and rebuilt there.
    def __init__(self, sku: str):
        super().__init__(sku)
        self.sku = sku

    def __str__(self) -> str:
        return "too little stock of {}".format(self.sku)


class Busy(ShopError):
    """The warehouse takes no more for now. `retry_after` is in seconds."""

    status = 429

    def __init__(self, retry_after: float):
        super().__init__(retry_after)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return "the warehouse is busy, try again in {:.2f} s".format(self.retry_after)


class CatalogUnavailable(ShopError):
    """The catalogue did not answer, or not in a way that makes sense."""

    status = 503

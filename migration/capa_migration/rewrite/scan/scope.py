"""What names mean in one scope, and what the objects of one class of the tree hold."""

from __future__ import annotations


class OwnClass:
    """A class of the tree itself.

    Attributes:
        base: The origin of its objects as objects of the class above it; None if that is no SDK's, or not certain.
        names: What the class and its methods bind, each with its origin; empty if it comes from no SDK.
    """

    def __init__(self, base: str | None = None) -> None:
        """Describe a class below *base* that binds nothing yet."""
        self.base = base
        self.names: dict[str, str] = {}


class Scope:
    """The names of a module, a class or a function.

    Attributes:
        own: The class whose objects are `self` here; in a module and its functions one of no name.
    """

    def __init__(self, above: Scope | None = None, own: OwnClass | None = None) -> None:
        """Open a scope inside *above*; that of a class if it is given as *own*."""
        self.names: dict[str, str] = {}
        self.above = above
        self.is_class = own is not None
        self.own: OwnClass = own or (above.own if above is not None else OwnClass())

    def find(self, name: str) -> str | None:
        """Return the origin of *name* as seen from here."""
        scope: Scope | None = self
        while scope is not None:
            # The names of a class body are not seen in its methods.
            if name in scope.names and (scope is self or not scope.is_class):
                return scope.names[name]
            scope = scope.above
        return None

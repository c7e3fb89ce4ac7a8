"""Scopes and classes of one file, with the origin of each of their names."""

from __future__ import annotations


class ProjectClass:
    """A class of the project itself.

    Attributes:
        base: The origin of its objects as objects of its only base; None if that is of no SDK, or there are more.
        bases: The origins of its objects as objects of each base in the project: what those bind themselves is certain.
        names: Names that the class and its methods bind, each with its origin; `""` if that is no SDK.
    """

    def __init__(self, base: str | None = None, bases: tuple[str, ...] = ()) -> None:
        """Describe a class below *base* and *bases* that binds nothing yet."""
        self.base = base
        self.bases = bases
        self.names: dict[str, str] = {}

    @property
    def visible_names(self) -> dict[str, str]:
        """The names that decide what is found: a name of no SDK only hides one of a base."""
        if self.base or self.bases:
            return dict(self.names)
        return {name: origin for name, origin in self.names.items() if origin}


class Scope:
    """The names of a module, a class or a function.

    Attributes:
        own: The class whose objects are `self` here; in a module and its functions an empty one.
    """

    def __init__(self, above: Scope | None = None, own: ProjectClass | None = None) -> None:
        """Open a scope inside *above*; the scope of a class if *own* is given."""
        self.names: dict[str, str] = {}
        self.above = above
        self.is_class = own is not None
        self.own: ProjectClass = own or (above.own if above is not None else ProjectClass())

    def find(self, name: str) -> str | None:
        """Return the origin of *name* as seen from here."""
        scope: Scope | None = self
        while scope is not None:
            # The names of a class body are not seen in its methods.
            if name in scope.names and (scope is self or not scope.is_class):
                return scope.names[name]
            scope = scope.above
        return None

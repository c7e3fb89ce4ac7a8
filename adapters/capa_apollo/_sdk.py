# Generated from import_map.toml by `python -m capa_core.shims.generate`: change it there.
"""The SDK as its import map declares it."""

from capa_core.shims import Sdk

SDK = Sdk(
    package="capa_apollo",
    name="apollo",
    extra="apollo",
    root="pyapollo",
    versions="any",
    settings="capa_apollo.settings:ApolloSettings",
)

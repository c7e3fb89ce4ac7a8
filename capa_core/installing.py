"""Commands that install Capa. It is on no package index yet: on the day that it is, what says so goes away here."""

NOT_ON_AN_INDEX = (
    "Capa is on no package index yet: `make dist` in a clone of it builds the wheel, which `pip install --find-links "
    "FOLDER -r requirements.txt` finds in its folder, and `pip install WHEEL -r requirements.txt` by its path."
)


def extra_command(*extras: str) -> str:
    """Return the command that installs Capa with *extras*, as it ends a message."""
    return f"pip install 'capa-core[{','.join(extras)}]', from the wheel, as capa-core was"

"""`python -m capa_celery …`: the command line of Celery."""

import sys

from celery.__main__ import main

from capa_celery import _repl

if __name__ == "__main__":
    _repl.defer()
    sys.exit(main())

"""`python -m capa_celery …`: the command line of Celery."""

import sys

from celery.__main__ import main

if __name__ == "__main__":
    sys.exit(main())

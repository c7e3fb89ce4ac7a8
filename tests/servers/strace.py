"""strace: kills a program at a chosen system call, or lets that call fail. No server, but as external as one."""

from ._program import Program

PROGRAM = Program("strace", "strace", install="apt-get install strace", usual=True)

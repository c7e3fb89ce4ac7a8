"""strace, which kills a program at a chosen system call or lets that call fail: not a server, but as much outside."""

from ._program import Program

PROGRAM = Program("strace", "strace", install="apt-get install strace")

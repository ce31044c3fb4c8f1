"""What holds for every test."""

import signal

# A process that a shell started in the background ignores SIGINT, and so do its children: interrupts are tested.
signal.signal(signal.SIGINT, signal.default_int_handler)

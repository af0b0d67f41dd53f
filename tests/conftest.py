"""What all tests share: the time a test takes is no verdict, and Ctrl-C reaches child processes."""

import signal

from hypothesis import HealthCheck, settings

# Importing them registers a device for all tests that follow; `test_other_device.py` runs them.
collect_ignore = ["other_device.py", "other_device_calls.py"]

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# What a shell runs in the background ignores interrupts, and so would all that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

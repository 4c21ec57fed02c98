"""How long an object store is waited for, by every client of it. With these, nothing waits for ever."""

#: How long one request may last, and how long reaching the store.
REQUEST_SECONDS, CONNECT_SECONDS = 60, 5
#: How often a request is tried again, and until how long after the first.
RETRIES, RETRY_SECONDS = 5, 60
#: The same, as delta-rs is told.
FOR_DELTA = {
    "timeout": f"{REQUEST_SECONDS}s",
    "connect_timeout": f"{CONNECT_SECONDS}s",
    "max_retries": str(RETRIES),
    "retry_timeout": f"{RETRY_SECONDS}s",
}

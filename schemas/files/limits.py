"""How long an object store is waited for, by every client of it. With these, nothing waits for ever."""

#: How long one request may last, and how long reaching the store.
REQUEST_SECONDS, CONNECT_SECONDS = 60, 5
#: How often a request is tried again, and until how long after the first.
RETRIES, RETRY_SECONDS = 5, 60

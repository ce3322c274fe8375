"""The same transports by other libraries, to tell what is the protocol's and what the library's."""
